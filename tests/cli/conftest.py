"""The command line sets a few variables for its own process; here, that process is the tests'."""

import os

import pytest

from afmd.runtime.limits import NATIVE_POOLS


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NATIVE_POOLS:
        monkeypatch.setenv(name, os.environ.get(name, "1"))
