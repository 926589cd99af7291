"""The port ``TipNetwork`` with an answer of the test's own."""

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Backend
from afmd.domain.result import Undone
from afmd.domain.tip import Tip
from afmd.errors import ModelError
from afmd.science.tip.mending import mended


class FakeTipNetwork:
    """Says ``surface`` of every picture, mended as the network's, to 1 nm; or that it does not know the tip."""

    backend = Backend("fake", "1")

    def __init__(self, surface: NDArray[np.float32], *, knows: bool = True) -> None:
        self._surface = surface.astype(np.float32)
        self._knows = knows

    def restored(
        self, heights: NDArray[np.float32], *, pixel_nm: tuple[float, float], tip: Tip,
        mask: NDArray[np.bool_] | None = None,
    ) -> Undone:  # fmt: skip
        if not self._knows:
            raise ModelError("tip network", why="it never saw such a tip", mend="Use certainty")
        found = mended(heights, pixel_nm=pixel_nm, tip=tip, mask=mask)
        return Undone(self._surface.copy(), np.ones_like(self._surface), found.image, found.lift_nm)
