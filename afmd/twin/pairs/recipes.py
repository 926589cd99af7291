"""Which pairs are drawn. Rule: a recipe is frozen; two people with one recipe and one seed hold one pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from afmd.domain.tip import Tip
from afmd.twin.pairs.kinds import KINDS, PAPER_KINDS


@dataclass(frozen=True, slots=True)
class PairRecipe:
    """How often each kind comes, with which tip, on which grid, and how often it is spoilt.

    ``kinds``: weight of each. ``shape``: rows and cols. ``pixel_nm``: bounds, drawn evenly in the logarithm.
    ``tip``: one tip for all, or None: radius of 1 to 16 pixels and 3 to 25 nm where the pitch lets it, 8 to 35°.
    ``noise_nm``: bounds of white noise at a pitch of 1 nm, in proportion elsewhere; ``clean``: share without any.
    ``lines``, ``edges``, ``tails``: shares of pairs with line artefacts, edge elevation, feedback tails.
    ``published``: share of pairs that follow paper B's sizes at 1 nm pixels.
    """

    kinds: Mapping[str, float]
    shape: tuple[int, int] = (128, 128)
    pixel_nm: tuple[float, float] = (1.0, 1.0)
    tip: Tip | None = None
    noise_nm: tuple[float, float] = (0.02, 0.5)
    clean: float = 1.0
    lines: float = 0.0
    edges: float = 0.0
    tails: float = 0.0
    published: float = 1.0
    finer: float = 0.0
    """Share of pairs imaged from points between the pixels, too."""
    uneven: float = 0.0
    """Share of unpublished pairs with pixels that are not square."""


PUBLISHED_TIP = Tip(10.0, 22.0)
"""Paper B's cone of about 10 nm; the angle is the one at which its imaged figures come out."""


def paper_b(
    kind: str, *, side: int = 128, tip: Tip = PUBLISHED_TIP, noise_nm: float = 0.0, faults: bool = False
) -> PairRecipe:
    """Return the published virtual data of one kind, clean, noisy, or with line artefacts and edge elevation."""
    return PairRecipe(
        kinds=MappingProxyType({kind: 1.0}), shape=(side, side), tip=tip, noise_nm=(noise_nm, noise_nm),
        clean=0.0 if noise_nm else 1.0, lines=float(faults), edges=float(faults),
    )  # fmt: skip


PAPER_B = PairRecipe(kinds=MappingProxyType(dict.fromkeys(PAPER_KINDS, 1.0)), tip=PUBLISHED_TIP)
_WEIGHTS = {"domes": 3.0, "cuboids": 2.0, "prisms": 1.5, "cylinders": 1.5, "misc": 5.0, "fractal": 3.5}
TRAINING = PairRecipe(
    kinds=MappingProxyType({kind: _WEIGHTS.get(kind, 1.0) for kind in KINDS}), shape=(144, 144), pixel_nm=(0.3, 5.0),
    clean=0.45, lines=0.3, edges=0.4, tails=0.07, published=0.7, finer=0.3, uneven=0.2,
)  # fmt: skip
