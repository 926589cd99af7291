"""The frame as kriging reads it: with guesses in its holes and a margin, laid out flat.

Rule: a point that a cluster asks for always exists; whether it is data or a guess is known.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import NONE, Heights, Mask, Pixels, Reach, typical
from afmd.science.inpaint.places import WIDEST_STEP, Edges, Places

MARGIN = 2 * WIDEST_STEP
TINY = np.finfo(np.float32).tiny
_SHARES: NDArray[np.float32] = np.append(np.float32(0), 1 / np.square(np.arange(1, 1 << 12, dtype=np.float32)))
"""Weights of edges by their distance, px; none at no distance, which stands for no edge."""


class Canvas:
    """A padded copy of a frame, row by row.

    ``flat``: float32 nm. ``guess``: bool, True where ``flat`` is no measured height. ``stride``: from row to row.
    """

    def __init__(self, heights: Heights, mask: Mask) -> None:
        self.flat: NDArray[np.float32] = _padded(heights).reshape(-1)
        self.guess: NDArray[np.bool_] = _padded(mask.view(np.uint8)).view(np.bool_).reshape(-1)
        self.stride = heights.shape[1] + 2 * MARGIN

    def frame(self) -> NDArray[np.float32]:
        """Return a view of the frame without its margin."""
        return self.flat.reshape(-1, self.stride)[MARGIN:-MARGIN, MARGIN:-MARGIN]

    def origin(self, pixels: Pixels) -> NDArray[np.intp]:
        """Return where each of some pixels lies in ``flat``."""
        return self.at(pixels.row, pixels.col)

    def at(self, row: NDArray[np.integer], col: NDArray[np.integer]) -> NDArray[np.intp]:
        """Return where rows and columns of the frame lie in ``flat``."""
        return np.asarray((row + np.intp(MARGIN)) * self.stride + col + MARGIN)

    def prime(self, origin: NDArray[np.intp], seen: Reach) -> None:
        """Guess pixels as the mean of their four edges, at the distances ``seen``, weighted by 1 / distance²."""
        self.flat[origin] = 0
        total, weight = np.zeros(origin.size, np.float32), np.zeros(origin.size, np.float32)
        for distance, unit in zip(seen, (-self.stride, self.stride, -1, 1), strict=True):
            there = np.where(distance < NONE, distance, np.intp(0))
            share: NDArray[np.float32] = _SHARES.take(there, mode="clip")
            there *= unit
            there += origin
            weight += share
            share *= self.flat.take(there)
            total += share
        self.flat[origin] = total / np.maximum(weight, TINY)
        self.guess[origin] = True
        if not weight.all():
            self.flat[origin[weight == 0]] = typical(self.flat, self.guess)
        self._mirror_border()

    def ways(self, place: Places) -> NDArray[np.intp]:
        """Return the ways from the middles of the seen edges to the points of each kind, (points, 4 kinds).

        The kinds four times, for pixels whose nearer edges are up and left, down and left, up and right, down and
        right: weights hold for the first, the others see mirror images.
        """
        down, across = place.beside
        turns = ((1, 1), (-1, 1), (1, -1), (-1, -1))
        return np.concatenate([up * self.stride * down + left * across for up, left in turns], axis=1)

    def index(
        self, place: Places, ways: NDArray[np.intp], which: slice, origin: NDArray[np.intp], edges: Edges
    ) -> NDArray[np.intp]:
        """Return where the points lie that some members of a place, at ``origin``, rest on, (points, members)."""
        at, kinds = place.members[which], place.weights.shape[1]
        up, left = edges.sign[0].take(at), edges.sign[2].take(at)
        turned = (up > 0) * np.intp(kinds) + (left > 0) * np.intp(2 * kinds)
        index = ways.take(place.kind[which] + turned, axis=1)
        ways_to = up * np.intp(self.stride), left.astype(np.intp)
        for points, edge in zip(index.reshape(len(place.edges), -1, at.size), place.edges, strict=True):
            middle = ways_to[edge // 2] * edges.distance[edge].take(at)
            middle = origin - middle if edge % 2 else origin + middle
            np.add(points, middle, out=points)
        return np.asarray(index)

    def _mirror_border(self) -> None:
        """Repeat the frame's border in the margin again, guesses included."""
        whole, last = self.flat.reshape(-1, self.stride), -MARGIN - 1
        whole[:, :MARGIN], whole[:, -MARGIN:] = whole[:, MARGIN, None], whole[:, last, None]
        whole[:MARGIN], whole[-MARGIN:] = whole[MARGIN], whole[last]


def _padded(frame: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.copyMakeBorder(frame, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE))
