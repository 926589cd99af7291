"""Every parameter of the restoration, in one table: it feeds the settings, the wire, the command line and the docs.

Rule: a parameter exists here once; ``published`` gives paper A's way (Table 1), ``best`` ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from afmd.errors import InvalidInput


class Preset(StrEnum):
    """``published`` does what paper A does; ``best`` what is nearest the truth."""

    PUBLISHED = "published"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: what it means and how to turn it.

    ``low``..``high`` is the inclusive range of a number; ``choices`` the allowed words. ``step`` is paper A's stage.
    """

    name: str
    step: str
    meaning: str
    unit: str
    published: bool | int | float | str
    best: bool | int | float | str
    raise_when: str
    lower_when: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def default(self, preset: Preset) -> bool | int | float | str:
        """Return the value of a preset."""
        return self.published if preset is Preset.PUBLISHED else self.best

    def checked(self, value: Any) -> bool | int | float | str:
        """Return ``value`` in the parameter's own type, or raise ``InvalidInput``."""
        kind = type(self.best)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise self._refused(value, f"it must be of type {kind.__name__}")
        if self.choices and value not in self.choices:
            raise self._refused(value, f"it must be one of {', '.join(self.choices)}")
        if isinstance(value, int | float) and not self.within(value):
            raise self._refused(value, f"it must lie in {self.low:g}..{self.high:g} {self.unit}".rstrip())
        return value

    def within(self, value: float) -> bool:
        """True where ``value`` lies in the range, or there is none; a NaN lies in none."""
        return self.low is None or self.high is None or self.low <= value <= self.high

    def _refused(self, value: Any, why: str) -> InvalidInput:
        return InvalidInput(f"parameter {self.name} = {value!r}", why=why, mend=self.meaning, field=self.name)


_TABLE = (
    Parameter(
        "thr", "segment", "Least artefact probability for a pixel to enter the raw mask", "1",
        0.5, 0.5, "good pixels are masked", "artefacts are missed", 0.01, 0.99,
    ),
    Parameter(
        "win", "despike", "Side of the window whose median a spike is held against; odd", "px",
        5, 5, "spikes are wider than half the window", "fine texture is taken for spikes", 3, 31,
    ),
    Parameter(
        "lam", "despike", "A pixel further than this many robust σ from the window's median is a spike; 0 is off", "σ",
        6.0, 8.0, "fine features are taken for spikes", "spikes survive", 0.0, 50.0,
    ),
    Parameter(
        "min_pix", "area filter", "Smallest masked region that is kept, unless it is sure", "px",
        8, 3, "specks of noise are masked", "small spikes are missed", 1, 1_000_000,
    ),
    Parameter(
        "sure", "area filter", "A smaller region is kept too where its probability reaches this; 1 is off", "1",
        1.0, 0.7, "specks of noise are masked", "spikes of one or two pixels are missed", 0.01, 1.0,
    ),
    Parameter(
        "max_pix", "area filter", "Largest masked region that is kept", "px",
        200_000, 16_777_216, "large spoilt areas are dropped", "large regular structures are masked", 1, 16_777_216,
    ),
    Parameter(
        "ar", "stripe or blob", "Least ratio of a region's longer to its shorter side for it to be a stripe", "1",
        4.0, 4.0, "compact regions grow like stripes", "short streaks are taken for blobs", 1.0, 100.0,
    ),
    Parameter(
        "k", "growth", "A stripe grows over pixels within this many σ of its own mean height; 0 is off", "σ",
        1.0, 0.0, "streaks are only partly covered", "the mask runs into good ground", 0.0, 10.0,
    ),
    Parameter(
        "region", "growth", "How far from its seed a stripe may grow", "px",
        7, 7, "streaks are only partly covered", "the mask runs into good ground", 1, 101,
    ),
    Parameter(
        "grad", "growth", "Steepest step over which a stripe may grow, in robust σ of the frame's gradients", "σ",
        3.0, 3.0, "streaks are only partly covered", "the mask climbs over edges", 0.0, 100.0,
    ),
    Parameter(
        "expand", "expansion", "Extend every stripe to its full row or column", "",
        True, False, "streaks continue unseen to the frame's edge", "good pixels beside streaks are replaced",
    ),
    Parameter(
        "level", "flatten", "Levelling method", "",
        "smart", "joint", "", "", choices=("none", "plane", "poly", "smart", "joint", "median", "median_of_differences",
        "trimmed_mean", "facet", "three_point"),
    ),
    Parameter(
        "direction", "flatten", "Which lines are fitted: rows, columns, both, or whichever slopes more", "",
        "auto", "auto", "", "", choices=("row", "column", "both", "auto"),
    ),
    Parameter(
        "order", "flatten", "Order of the fitted polynomial", "1",
        1, 2, "bow or bending remains", "wide features sink into the ground", 0, 5,
    ),
    Parameter(
        "mask_aware", "flatten", "Keep masked pixels out of every levelling fit", "",
        True, True, "artefacts bend the ground", "the mask covers most of the ground",
    ),
    Parameter(
        "trim", "flatten", "Share of a line's pixels left out at either end by the trimmed mean", "1",
        0.05, 0.05, "features pull the lines", "the lines' offsets are noisy", 0.0, 0.5,
    ),
    Parameter(
        "points", "flatten", "Three-point level: pixels as row,col; row,col; row,col; empty is near the corners", "",
        "", "", "", "",
    ),
    Parameter(
        "point_radius", "flatten", "Three-point level: each point is the mean over this radius", "px",
        3, 3, "noise tilts the plane", "the points reach over edges", 0, 100,
    ),
    Parameter(
        "fill", "fill", "How masked pixels are filled; across is kriging with the covariance of the scan itself, "
        "evidence also weighs what was measured there", "",
        "directional", "evidence", "", "",
        choices=("directional", "telea", "across", "laplace", "biharmonic", "evidence"),
    ),
    Parameter(
        "radius", "fill", "Radius of Telea's neighbourhood", "px",
        3, 3, "wide stripes show their middle line", "edges are smeared", 1, 30,
    ),
    Parameter(
        "sigma", "smooth", "Width of the Gaussian applied inside the mask only; 0 is off", "px",
        1.0, 0.0, "seams show around filled pixels", "filled ground is smoother than its surroundings", 0.0, 10.0,
    ),
    Parameter(
        "abstain", "classify", "Below this probability of the likeliest class, no class is claimed", "1",
        0.0, 0.5, "doubtful scans are given a class", "too many scans are left unclassified", 0.0, 1.0,
    ),
    Parameter(
        "refuse", "fill", "Above this masked share a scan is reported, not restored", "1",
        1.0, 0.5, "scans with large spoilt areas should be restored", "mostly spoilt scans are restored", 0.0, 1.0,
    ),
)  # fmt: skip

PARAMETERS: Mapping[str, Parameter] = MappingProxyType({p.name: p for p in _TABLE})


class Params:
    """A preset with overrides, checked against ``PARAMETERS``; immutable, hashable, equal by value.

    ``Params("published", thr=0.4).thr`` reads a value; an unknown name or a bad value raises ``InvalidInput``.
    """

    __slots__ = ("_values", "preset")

    preset: Preset

    def __init__(self, preset: str = "best", **overrides: bool | int | float | str) -> None:
        if preset not in tuple(Preset):
            raise InvalidInput(
                f"preset {preset!r}", why="there is none of that name", mend=f"Use one of {', '.join(Preset)}",
                field="preset",
            )  # fmt: skip
        unknown = sorted(set(overrides) - set(PARAMETERS))
        if unknown:
            raise InvalidInput(
                f"parameter {unknown[0]}", why="there is none of that name",
                mend=f"Use one of {', '.join(PARAMETERS)}", field=unknown[0],
            )  # fmt: skip
        own = Preset(preset)
        values = {n: p.checked(overrides[n]) if n in overrides else p.default(own) for n, p in PARAMETERS.items()}
        object.__setattr__(self, "preset", own)
        object.__setattr__(self, "_values", MappingProxyType(values))

    thr: float
    win: int
    lam: float
    min_pix: int
    sure: float
    max_pix: int
    ar: float
    k: float
    region: int
    grad: float
    expand: bool
    level: str
    direction: str
    order: int
    mask_aware: bool
    trim: float
    points: str
    point_radius: int
    fill: str
    radius: int
    sigma: float
    abstain: float
    refuse: float

    def __getattr__(self, name: str) -> Any:
        values = object.__getattribute__(self, "_values")
        if name in values:
            return values[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Params is immutable; use Params({self.preset!s}, {name}={value!r})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().items()))

    def __repr__(self) -> str:
        return f"Params({', '.join([repr(self.preset.value), *(f'{n}={v!r}' for n, v in self.overrides().items())])})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.preset.value, self.overrides())

    def overrides(self) -> dict[str, bool | int | float | str]:
        """Return only what differs from the preset."""
        return {n: v for n, v in self._values.items() if v != PARAMETERS[n].default(self.preset)}

    def as_dict(self) -> dict[str, bool | int | float | str]:
        """Return preset and every value, JSON-ready, in the table's order."""
        return {"preset": self.preset.value, **self._values}


def _rebuilt(preset: str, overrides: dict[str, bool | int | float | str]) -> Params:
    return Params(preset, **overrides)
