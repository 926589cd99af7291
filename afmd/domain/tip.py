"""A tip: the shape that the surface is imaged with. Rule: a tip has a scale of its own, in nm; pixels come later."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.domain.scan import checked_heights, checked_pitch
from afmd.errors import InvalidInput

UNSEEN_HALF_ANGLE_DEG = 20.0
"""What is assumed of flanks that a picture does not show; common to etched silicon probes."""


class TipForm(StrEnum):
    """The shapes that two numbers describe, and ``array`` for any other."""

    CONE = "cone"
    PARABOLOID = "paraboloid"
    PYRAMID = "pyramid"
    ARRAY = "array"


@dataclass(frozen=True, slots=True, eq=False)
class Tip:
    """An axially symmetric or measured tip, apex down.

    ``radius_nm``: of the apex. ``half_angle_deg``: between axis and flank, in (0, 90); a paraboloid has none.
    ``form``: ``cone`` has a spherical apex that runs tangentially into the flank; ``pyramid`` is the same profile over
    the larger of the two axial distances (four flat sides); ``paraboloid`` is r² / 2R.
    ``radius_sigma_nm``: standard deviation of the radius where it was estimated, else 0.
    ``heights``: for ``array``, float64 (rows, cols) nm above the apex, with the pitch ``pixel_nm`` (down, across).
    Raises ``InvalidInput``.
    """

    radius_nm: float
    half_angle_deg: float = UNSEEN_HALF_ANGLE_DEG
    form: TipForm = TipForm.CONE
    radius_sigma_nm: float = 0.0
    heights: NDArray[np.float64] | None = field(default=None, repr=False)
    pixel_nm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.radius_nm >= 0:
            raise _unfit("radius_nm", f"{self.radius_nm!r} is not a length", "Give the apex radius in nm")
        if not 0 < self.half_angle_deg < 90:
            raise _unfit(
                "half_angle_deg", f"{self.half_angle_deg!r} lies outside 0..90°", "Give axis to flank in degrees"
            )
        object.__setattr__(self, "form", TipForm(self.form))
        if self.form is TipForm.PARABOLOID and self.radius_nm == 0:
            raise _unfit("radius_nm", "a paraboloid of radius 0 has no shape", "Give the apex radius in nm")

    @classmethod
    def from_heights(cls, heights: ArrayLike, *, pixel_nm: float | tuple[float, float]) -> Self:
        """Wrap a measured or blindly estimated tip.

        ``heights``: (rows, cols) nm, odd sides, the apex at the centre, rising or falling away from it: the sign is
        taken from the rim. The radius is that of the parabola through the apex and its four neighbours.
        """
        own = checked_heights(heights, name="tip heights").astype(np.float64)
        if own.shape[0] % 2 == 0 or own.shape[1] % 2 == 0:
            raise _unfit("heights", f"shape {own.shape} has no centre pixel", "Give odd numbers of rows and columns")
        centre = own[own.shape[0] // 2, own.shape[1] // 2]
        rising = own - centre if own.mean() >= centre else centre - own
        if rising.min() < 0:
            raise _unfit("heights", "the centre pixel is not the apex", "Shift the array until its apex is central")
        pitch = checked_pitch(pixel_nm)
        return cls(radius_nm=_apex_radius(rising, pitch), form=TipForm.ARRAY, heights=rising, pixel_nm=pitch)


@dataclass(frozen=True, slots=True)
class TipEstimate:
    """What a picture tells of the tip that took it.

    ``radius_nm``: of the apex, with the standard deviation ``spread_nm``; NaN where nothing is told.
    ``half_angle_deg``: of the flanks, or None where the picture is too low to show them.
    ``at_most_nm``: a radius that the picture does not allow the tip to exceed; infinite where it allows any.
    ``reason``: why the picture cannot tell the radius; empty where it does.
    """

    radius_nm: float
    spread_nm: float
    half_angle_deg: float | None = None
    at_most_nm: float = float("inf")
    reason: str = ""

    @property
    def tells(self) -> bool:
        """True where the picture tells the radius."""
        return not self.reason

    @property
    def tip(self) -> Tip:
        """The tip, with the spread of its radius; a flank that is not seen is a cone of 20°.

        Raises ``InvalidInput`` where the picture cannot tell.
        """
        if self.reason:
            raise InvalidInput(
                "tip", why=f"the picture cannot tell: {self.reason}", mend="Give the tip's radius", field="tip"
            )
        angle = self.half_angle_deg or UNSEEN_HALF_ANGLE_DEG
        return Tip(self.radius_nm, angle, radius_sigma_nm=self.spread_nm)


def _apex_radius(rising: NDArray[np.float64], pitch: tuple[float, float]) -> float:
    r, c = rising.shape[0] // 2, rising.shape[1] // 2
    steps = np.array([rising[r - 1, c], rising[r + 1, c], rising[r, c - 1], rising[r, c + 1]])
    squares = np.repeat(np.square(pitch), 2)
    return float(squares.sum() / (2 * steps.sum())) if steps.sum() > 0 else float("inf")


def _unfit(name: str, why: str, mend: str) -> InvalidInput:
    return InvalidInput(f"tip {name}", why=why, mend=mend, field=name)
