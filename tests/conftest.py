"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scans_dir() -> Path:
    """The folder of real scans beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "scans"
    assert folder.is_dir(), f"{folder} is missing: the tests read real scans from there"
    return folder
