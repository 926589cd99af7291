"""Labs for the tests: one that many share, and fresh ones."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab import Lab


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that nobody stops or hurts; each test drops scans of names and contents of its own."""
    with Lab(tmp_path_factory.mktemp("shared") / "lab") as lab:
        yield lab


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make a lab of this test's own, its daemon started."""
    with ExitStack() as labs:
        yield lambda name="lab", **wishes: labs.enter_context(Lab(tmp_path / name, **wishes))


@pytest.fixture
def unused_port() -> int:
    """A port that nobody holds now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()
