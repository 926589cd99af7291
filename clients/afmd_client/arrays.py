"""Arrays as they come over the wire. Rule: bytes are believed only when their number and their SHA-256 are right."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from afmd_client.errors import Corrupt
from afmd_client.v1 import array_pb2

Progress = Callable[[int, int], None]
"""Called with bytes received and bytes in all."""

DTYPES = {array_pb2.DATA_TYPE_FLOAT32: np.dtype("<f4"), array_pb2.DATA_TYPE_BOOL: np.dtype(np.bool_)}


class ScanArray(np.ndarray[tuple[int, int], np.dtype[Any]]):
    """An array (rows, cols), float32 or bool, row 0 at the top, with what its numbers mean.

    ``unit``: ``nm``, a signal's own unit, or ``1`` for masks. ``pixel_nm``: pitch (down, across) in nm.
    ``repair``: number of the repair it belongs to, 0 before the first.
    Only the array as fetched knows these: what is computed or cut from it is a plain array, whose unit or pitch may be
    another.
    """

    unit: str
    pixel_nm: tuple[float, float]
    repair: int

    def __array_wrap__(
        self, array: NDArray[Any], context: Any = None, return_scalar: bool = False
    ) -> Any:  # fmt: skip
        """Let a computed array be a plain one."""
        del context
        return array[()] if return_scalar else np.asarray(array)

    def __getitem__(self, key: Any) -> Any:
        """Let a part be a plain array."""
        return np.asarray(self)[key]


class _Header(Protocol):
    size_bytes: int
    sha256: str


def received(
    header: array_pb2.ArrayHeader, chunks: Iterator[bytes], *, on_progress: Progress | None = None
) -> ScanArray:  # fmt: skip
    """Return the array that a header describes and chunks fill. Raises ``Corrupt``."""
    dtype = DTYPES.get(header.data_type)
    if dtype is None or min(header.rows, header.cols) < 1:
        raise _corrupt(f"there are no {header.rows} × {header.cols} arrays of type {header.data_type}")
    if header.size_bytes != header.rows * header.cols * dtype.itemsize:
        raise _corrupt(f"{header.size_bytes} bytes make no {header.rows} × {header.cols} array of {dtype}")
    content = collected(header, chunks, on_progress=on_progress)
    array = content.view(dtype).reshape(header.rows, header.cols).view(ScanArray)
    array.unit = header.unit
    array.pixel_nm = (header.pixel_nm.down, header.pixel_nm.across)
    array.repair = header.repair
    return array


def collected(header: _Header, chunks: Iterator[bytes], *, on_progress: Progress | None = None) -> NDArray[np.uint8]:
    """Return the bytes that a header promised, as uint8. Raises ``Corrupt``."""
    if header.size_bytes < 0:
        raise _corrupt(f"{header.size_bytes} is no number of bytes")
    content = np.empty(header.size_bytes, dtype=np.uint8)
    digest = hashlib.sha256()
    done = 0
    for chunk in chunks:
        if done + len(chunk) > len(content):
            raise _corrupt(f"more than the {len(content)} bytes promised came")
        content[done : done + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        digest.update(chunk)
        done += len(chunk)
        if on_progress is not None:
            on_progress(done, len(content))
    if done != len(content):
        raise _corrupt(f"{done} of {len(content)} bytes came")
    if digest.hexdigest() != header.sha256:
        raise _corrupt("their SHA-256 is not the one promised")
    return content


def _corrupt(why: str) -> Corrupt:
    return Corrupt(
        "array", why=why, mend="Fetch it again; if that fails too, look at the network and the daemon's disk"
    )
