"""A daemon's server to talk to, and a client that talks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served

from afmd_client import Client


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path).start()
    yield served
    served.close()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.address) as client:
        yield client
