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
        return np.asarray((pixels.row + np.intp(MARGIN)) * self.stride + pixels.col + MARGIN)

    def prime(self, origin: NDArray[np.intp], seen: Reach) -> None:
        """Guess pixels as the mean of their four edges, at the distances ``seen``, weighted by 1 / distance²."""
        self.flat[origin] = 0
        total, weight = np.zeros(origin.size, np.float32), np.zeros(origin.size, np.float32)
        for distance, unit in zip(seen, (-self.stride, self.stride, -1, 1), strict=True):
            there = distance < NONE
            share = np.where(there, np.reciprocal(np.square(distance, dtype=np.float32)), np.float32(0))
            step = np.where(there, distance, 0) * np.intp(unit)
            total += share * self.flat.take(origin + step)
            weight += share
        self.flat[origin] = total / np.maximum(weight, TINY)
        self.guess[origin] = True
        if not weight.all():
            self.flat[origin[weight == 0]] = typical(self.flat, self.guess)
        self._mirror_border()

    def ways(self, place: Places) -> NDArray[np.intp]:
        """Return the ways from the seen edges to the points of each kind, (4 kinds, points).

        The kinds four times, for pixels whose nearer edges are up and left, down and left, up and right, down and
        right: weights hold for the first, the others see mirror images.
        """
        away, aside = (place.step[:, None] * part for part in np.array(place.cluster).T)
        turns = []
        for up, left in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            ways = []
            for edge in place.edges:
                out, beside = (up, left) if edge < 2 else (left, up)
                along, side = (self.stride, 1) if edge < 2 else (1, self.stride)
                ways.append(away * (along * (-out if edge % 2 else out)) - aside * (side * beside))
            turns.append(np.concatenate(ways, axis=1))
        return np.concatenate(turns)

    def index(
        self, place: Places, ways: NDArray[np.intp], which: slice, origin: NDArray[np.intp], edges: Edges
    ) -> NDArray[np.intp]:
        """Return where the points lie that some members of a place, at ``origin``, rest on, (members, points)."""
        at, width = place.members[which], len(place.cluster)
        signs = edges.sign.take(at, axis=1)
        turned = (signs[0] > 0) + 2 * (signs[2] > 0)
        index = ways.take(place.kind[which] + turned * len(place.step), axis=0)
        for number, edge in enumerate(place.edges):
            step = signs[edge] * np.intp(self.stride if edge < 2 else 1)
            index[:, number * width : (number + 1) * width] += (origin + step * edges.distance[edge].take(at))[:, None]
        return np.asarray(index)

    def _mirror_border(self) -> None:
        """Repeat the frame's border in the margin again, guesses included."""
        whole, last = self.flat.reshape(-1, self.stride), -MARGIN - 1
        whole[:, :MARGIN], whole[:, -MARGIN:] = whole[:, MARGIN, None], whole[:, last, None]
        whole[:MARGIN], whole[-MARGIN:] = whole[MARGIN], whole[last]


def _padded(frame: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.copyMakeBorder(frame, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE))
