"""A scan of any shape as a few equal tiles, and back. Rule: pure geometry; pixels are mirrored in, never scaled.

Tiles of one scan all have one shape. Where two overlap, a linear ramp passes from one to the other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGEST_SIDE: Final = 576
OVERLAP: Final = 64
MULTIPLE: Final = 32

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Span:
    """Tiles along one axis: ``length`` pixels are covered from each of ``starts`` for ``side`` pixels."""

    length: int
    side: int
    starts: tuple[int, ...]

    def ramp(self, index: int) -> Image:
        """Return the weight (side,) of a tile: 1, falling linearly over the part that a neighbour shares."""
        weight = np.ones(self.side, np.float32)
        if index > 0:
            shared = self.starts[index - 1] + self.side - self.starts[index]
            weight[:shared] *= _rise(shared)
        if index + 1 < len(self.starts):
            shared = self.starts[index] + self.side - self.starts[index + 1]
            weight[-shared:] *= _rise(shared)[::-1]
        return weight


def span(length: int) -> Span:
    """Cover ``length`` pixels by as few tiles of at most 576 pixels as overlap by 64; one tile holds up to 576."""
    count = max(1, -(-(length - OVERLAP) // (LARGEST_SIDE - OVERLAP)))
    side = padded_side(-(-(length + (count - 1) * OVERLAP) // count), MULTIPLE)
    starts = np.round(np.linspace(0, max(length - side, 0), count)).astype(int)
    return Span(length, side, tuple(int(s) for s in starts))


def padded_side(length: int, multiple: int) -> int:
    """Return the least multiple that holds ``length``."""
    return -(-length // multiple) * multiple


def tiled(image: Image, predict: Callable[[Image], Image]) -> Image:
    """Return ``predict`` of every tile, blended: (outputs, rows, cols) for planes (planes, rows, cols).

    ``predict`` takes planes (planes, side, side') and returns (outputs, side, side'), all tiles of one shape.
    """
    down, across = span(image.shape[1]), span(image.shape[2])
    padded = _mirrored(image, (down.side, across.side))
    total: Image | None = None
    for rows, cols, weight in _tiles(down, across):
        output = predict(np.ascontiguousarray(padded[:, rows, cols]))
        if len(down.starts) == len(across.starts) == 1:
            return output[:, : image.shape[1], : image.shape[2]]
        if total is None:
            total = np.zeros((len(output), *padded.shape[1:]), np.float32)
        total[:, rows, cols] += output * weight
    assert total is not None
    return total[:, : image.shape[1], : image.shape[2]]


def _tiles(down: Span, across: Span) -> Iterator[tuple[slice, slice, Image]]:
    for i, top in enumerate(down.starts):
        for j, left in enumerate(across.starts):
            weight = down.ramp(i)[:, None] * across.ramp(j)[None, :]
            yield slice(top, top + down.side), slice(left, left + across.side), weight


def _mirrored(image: Image, least: tuple[int, int]) -> Image:
    """Extend an image at its lower and right edge, by mirroring, to at least the given size."""
    grow = [(0, max(0, wanted - have)) for wanted, have in zip(least, image.shape[1:], strict=True)]
    return np.pad(image, ((0, 0), *grow), mode="symmetric") if any(g for _, g in grow) else image


def _rise(count: int) -> Image:
    """Return ``count`` weights strictly between 0 and 1 that add to 1 with their mirror image."""
    return ((np.arange(count) + 0.5) / count).astype(np.float32)
