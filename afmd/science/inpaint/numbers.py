"""Arrays as text, so that trained coefficients stand in a module like any others. Rule: half precision, base 85."""

import base64
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def packed(arrays: Iterable[NDArray[np.float32]]) -> str:
    """Return the numbers of some arrays as text."""
    numbers = np.concatenate([each.reshape(-1) for each in arrays]).astype("<f2")
    return base64.b85encode(numbers.tobytes()).decode("ascii")


@lru_cache(maxsize=4)
def _numbers(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b85decode(text), dtype="<f2").astype(np.float32)


def unpacked(text: str, shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float32]]:
    """Return the arrays of these shapes, float32, from their text."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = np.split(_numbers(text), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
