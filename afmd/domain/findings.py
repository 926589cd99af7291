"""What was found in a scan: its class, its spoilt pixels, and who says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Label(StrEnum):
    """The four classes of paper A."""

    GOOD = "good"
    NOT_TRACKING = "not_tracking"
    TIP_CONTAMINATION = "tip_contamination"
    IMAGING_ARTIFACT = "imaging_artifact"


@dataclass(frozen=True, slots=True)
class Backend:
    """Who spoke: ``name`` is ``rules`` or a model's name; ``version`` the code's version or the weights' sha256."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version[:12]}"


@dataclass(frozen=True, slots=True)
class Classification:
    """A class with its probabilities (they sum to 1); ``abstained`` means that no class was sure enough."""

    label: Label
    probabilities: Mapping[Label, float]
    abstained: bool
    backend: Backend


class Clipped(NamedTuple):
    """Where heights lie at an end of the scanner's or the converter's range; bool (rows, cols), True = there.

    At the ``low`` end the surface is at most, at the ``high`` one at least as high as measured.
    """

    low: NDArray[np.bool_]
    high: NDArray[np.bool_]

    @property
    def anywhere(self) -> NDArray[np.bool_]:
        """True at either end."""
        return self.low | self.high


@dataclass(frozen=True, slots=True, eq=False)
class ArtifactMap:
    """What a segmenter sees, per pixel.

    ``artifact``: float32 (rows, cols) in [0, 1], the probability that the pixel is spoilt (paper A's P(i, j)).
    ``feature``: the same for standing out of the substrate, or None where the backend cannot tell.
    ``reported``: bool (rows, cols), True where nothing but a wave over the field spoils the pixel, another tip drew it,
    or it lies on a body that rings, or None. It is reported as spoilt; but its neighbours are spoilt alike, or filling
    would take the body away, so that it is left to levelling and never filled.
    ``ghosts``: bool (rows, cols), True where a second apex of the tip touched something else, or None: the surface lies
    lower than it was measured, and the measured height tells no more of it.
    ``changed``: bool (rows,), True for lines that another tip than the rest's seems to have drawn, or None.
    ``clipped``: where heights lie at an end of a range, or None where the backend has not looked.
    """

    artifact: NDArray[np.float32]
    feature: NDArray[np.float32] | None
    backend: Backend
    reported: NDArray[np.bool_] | None = None
    ghosts: NDArray[np.bool_] | None = None
    changed: NDArray[np.bool_] | None = None
    clipped: Clipped | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Masks of one scan, each bool (rows, cols), True = spoilt.

    ``raw_mask``: probability ≥ ``thr``. ``mask``: after despiking, area filter, growth and expansion.
    ``feature``: True where the surface stands out of the substrate, or None. ``ghosts``, ``changed``:
    as in `ArtifactMap`. ``bars``: True where bars of the sample run along the lines and were taken for spoilt, or None.
    ``clipped``: where heights lie at an end of a range, or None: nowhere.
    """

    probability: NDArray[np.float32]
    raw_mask: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    feature: NDArray[np.bool_] | None
    backend: Backend
    ghosts: NDArray[np.bool_] | None = None
    changed: NDArray[np.bool_] | None = None
    bars: NDArray[np.bool_] | None = None
    clipped: Clipped | None = None
