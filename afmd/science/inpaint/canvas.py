"""The frame as kriging reads it: with guesses in its holes and a margin, laid out flat.

Rule: a point that a cluster asks for always exists; whether it is data or a guess is known.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.science.inpaint.gaps import NONE, Heights, Mask, Reach, typical
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

    def origin(self, holes: Mask) -> NDArray[np.intp]:
        """Return where each pixel of ``holes`` lies in ``flat``."""
        row, col = np.divmod(np.flatnonzero(holes), holes.shape[1])
        return np.asarray((row + MARGIN) * self.stride + col + MARGIN)

    def prime(self, origin: NDArray[np.intp], seen: Reach) -> None:
        """Guess pixels as the mean of their four edges, at the distances ``seen``, weighted by 1 / distance²."""
        self.flat[origin] = 0
        total, weight = np.zeros(origin.size, np.float32), np.zeros(origin.size, np.float32)
        for distance, unit in zip(seen, (-self.stride, self.stride, -1, 1), strict=True):
            there = distance < NONE
            share = np.where(there, 1 / np.square(distance, dtype=np.float32), np.float32(0))
            total += share * self.flat[origin + unit * np.where(there, distance, 0)]
            weight += share
        self.flat[origin] = total / np.maximum(weight, TINY)
        self.guess[origin] = True
        if not weight.all():
            self.flat[origin[weight == 0]] = typical(self.flat, self.guess)
        self._mirror_border()

    def index(self, place: Places, which: NDArray[np.intp], origin: NDArray[np.intp], edges: Edges) -> NDArray[np.intp]:
        """Return where the points lie that some members of a place rest on, (members, points).

        Weights hold for the nearer edge of each axis being upwards and leftwards: other pixels see mirror images.
        """
        at, kind = place.members[which], place.kind[which]
        away, aside = np.array(place.cluster).T
        step, width = place.step[:, None], len(place.cluster)
        index = np.empty((len(at), len(place.edges) * width), dtype=np.intp)
        for number, edge in enumerate(place.edges):
            along, beside = (self.stride, 1) if edge < 2 else (1, self.stride)
            out, side = away * step * along, aside * step * beside
            ways = np.concatenate([side - out, side + out, -side - out, -side + out])
            sign, mirrored = edges.sign[edge, at], edges.sign[0 if edge >= 2 else 2, at] > 0
            root = origin + (sign * np.intp(along)) * edges.distance[edge, at]
            way = kind + len(side) * ((sign > 0) + 2 * mirrored)
            np.add(root[:, None], ways.take(way, axis=0), out=index[:, number * width : (number + 1) * width])
        return index

    def _mirror_border(self) -> None:
        """Repeat the frame's border in the margin again, guesses included."""
        whole, last = self.flat.reshape(-1, self.stride), -MARGIN - 1
        whole[:, :MARGIN], whole[:, -MARGIN:] = whole[:, MARGIN, None], whole[:, last, None]
        whole[:MARGIN], whole[-MARGIN:] = whole[MARGIN], whole[last]


def _padded(frame: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.copyMakeBorder(frame, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE))
