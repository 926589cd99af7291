"""What a simulated data set is made of. Rule: a recipe is data: hashable, picklable, and the whole of the difference
between training and evaluation.

Which class a kind belongs to follows what a user would do about it:

not_tracking       the tip was not on the surface, left it late, or moved something on it: scan again, slower or with
                   another set point. Seen as lost lines, tails and streaks along the fast axis.
tip_contamination  the tip's shape is the fault, and trace and retrace agree: change the tip. Seen as doubled, widened
                   or alike-shaped features.
imaging_artifact   the loop follows the surface, and something is added to it, mostly periodic or of one shape:
                   ripple, mains, spikes, feedback ringing (gain too high), start-of-scan drift, clipping.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from afmd.domain.findings import Label
from afmd.errors import InvalidInput
from afmd.twin.draw import WHOLE, Bands
from afmd.twin.surfaces import FAMILIES

KINDS: Mapping[str, Label] = MappingProxyType(
    {
        "lost_lines": Label.NOT_TRACKING,
        "lift_off": Label.NOT_TRACKING,
        "jump": Label.NOT_TRACKING,
        "parachute": Label.NOT_TRACKING,
        "scar": Label.NOT_TRACKING,
        "drag": Label.NOT_TRACKING,
        "smear": Label.NOT_TRACKING,
        "double_tip": Label.TIP_CONTAMINATION,
        "blunt_tip": Label.TIP_CONTAMINATION,
        "tip_change": Label.TIP_CONTAMINATION,
        "debris_pickup": Label.TIP_CONTAMINATION,
        "ripple": Label.IMAGING_ARTIFACT,
        "mains": Label.IMAGING_ARTIFACT,
        "spike": Label.IMAGING_ARTIFACT,
        "burst": Label.IMAGING_ARTIFACT,
        "ringing": Label.IMAGING_ARTIFACT,
        "start_drift": Label.IMAGING_ARTIFACT,
        "saturation": Label.IMAGING_ARTIFACT,
    }
)
"""Every kind of artefact and the class that a user would give it."""

Weights = tuple[tuple[str, float], ...]


def even(*names: str) -> Weights:
    """Give every name the same weight."""
    return tuple((name, 1.0) for name in names)


def even_by_class(*names: str) -> Weights:
    """Give every class the same total weight, shared evenly by its kinds."""
    count = {label: sum(KINDS[name] is label for name in names) for label in Label}
    return tuple((name, 1.0 / count[KINDS[name]]) for name in names)


ALL_KINDS: Weights = even_by_class(*KINDS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What may be drawn, and how often.

    ``surfaces``, ``kinds``: names with weights. ``good``: share of scans without an artefact. ``companion``: chance
    that a further artefact joins (up to two; one of another class stays far weaker, so that the class holds).
    ``blemish``: chance that a good scan has a speck too small to spoil it (under 0.1 % of the pixels).
    ``severity``: range of the strength, 0 = hardly above the noise, 1 = as high as the relief.
    ``shapes``: sizes to draw from. ``bands``: the quantiles that continuous parameters may take (see ``draw``).
    ``stream``: separates the seeds of recipes that share numbers.
    """

    surfaces: Weights
    kinds: Weights = ALL_KINDS
    good: float = 0.25
    companion: float = 0.2
    blemish: float = 0.15
    severity: tuple[float, float] = (0.1, 1.0)
    shapes: tuple[tuple[int, int], ...] = ((256, 256),)
    bands: Bands = WHOLE
    stream: int = 0

    def __post_init__(self) -> None:
        _known(tuple(dict(self.surfaces)), FAMILIES, "surfaces")
        _known(tuple(dict(self.kinds)), KINDS, "kinds")

    def on(self, *surfaces: str) -> "Recipe":
        """The same recipe on these families alone."""
        return replace(self, surfaces=even(*surfaces))

    def only(self, *kinds: str) -> "Recipe":
        """The same recipe with nothing but these artefact kinds, one in each scan, and no good scans."""
        return replace(self, kinds=even(*kinds), good=0.0, companion=0.0)

    def without(self, *kinds: str) -> "Recipe":
        """The same recipe with these kinds left out."""
        _known(kinds, KINDS, "kinds")
        return replace(self, kinds=even_by_class(*(name for name, _ in self.kinds if name not in kinds)))

    def all_good(self) -> "Recipe":
        """The same recipe with good scans alone."""
        return replace(self, good=1.0)


def _known(names: tuple[str, ...], table: Mapping[str, object], field: str) -> None:
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InvalidInput(
            f"{field} {unknown[0]!r}", why="there is none of that name", mend=f"Use some of {', '.join(table)}",
            field=field,
        )  # fmt: skip


_SHAPES = (
    ((256, 256),) * 6
    + ((512, 512),) * 2
    + ((128, 128), (192, 256), (256, 192), (128, 512), (384, 384), (320, 256), (512, 256))
)

TRAINING = Recipe(
    surfaces=even(
        "particles", "aggregates", "dna", "terraces", "hex_grating", "line_grating", "grains", "blend", "fractal",
        "cells", "fibres", "scratches", "film", "lamellae", "mica", "primitives", "wrinkles", "pores",
        "plateaus", "ridges", "swirls", "labyrinth", "dunes", "hatch", "hierarchy", "mosaic", "cracks", "foam",
        "membrane", "bodies", "wires", "dendrites", "slopes", "bunches", "mesas",
    ),
    shapes=_SHAPES,
    bands=((0.08, 0.38), (0.46, 0.92)),
    stream=1,
)  # fmt: skip
"""What models learn from."""

EVALUATION = Recipe(
    surfaces=even(
        "plasmids", "spiral", "monolayer", "square_grating", "spherulites", "crystals", "worms", "patches", "flakes",
        "bacteria",
    ),
    shapes=((256, 256), (256, 256), (512, 512), (300, 300), (200, 400), (384, 256), (160, 160), (640, 640)),
    bands=((0.0, 0.08), (0.38, 0.46), (0.92, 1.0)),
    stream=2,
)  # fmt: skip
"""Surfaces and parameter ranges that ``TRAINING`` never draws: a hole in its ranges, and beyond both ends."""

EVERYTHING = replace(TRAINING, surfaces=TRAINING.surfaces + EVALUATION.surfaces, bands=WHOLE, stream=3)
"""All surfaces and whole ranges: for a model that is to be shipped, once the honest figures are known."""
