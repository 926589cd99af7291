"""The port ``TipNetwork`` with an answer of the test's own."""

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Backend
from afmd.domain.tip import Tip
from afmd.errors import ModelError


class FakeTipNetwork:
    """Says ``surface`` of every picture, with a standard deviation of 1 nm; or that it does not know the tip."""

    backend = Backend("fake", "1")

    def __init__(self, surface: NDArray[np.float32], *, knows: bool = True) -> None:
        self._surface = surface.astype(np.float32)
        self._knows = knows

    def restored(
        self, heights: NDArray[np.float32], *, pixel_nm: tuple[float, float], tip: Tip,
        mask: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
        if not self._knows:
            raise ModelError("tip network", why="it never saw such a tip", mend="Use certainty")
        return self._surface.copy(), np.ones_like(self._surface)
