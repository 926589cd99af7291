"""Labs for the tests: one that many share, and fresh ones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab import Lab


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make a lab of this test's own, its daemon started."""
    with ExitStack() as labs:
        yield lambda name="lab", **wishes: labs.enter_context(Lab(tmp_path / name, **wishes))


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()
