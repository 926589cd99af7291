"""What a seed decides before anything is built.

Rule: each part of a scan draws from a stream of its own, so that a change in one part leaves the others as they were.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from afmd.errors import InvalidInput
from afmd.twin.draw import Draw
from afmd.twin.recipe import KINDS, Recipe

MIN_SIDE, MAX_SIDE = 32, 4096
BLEMISH_SEVERITY, BLEMISH_EXTENT = 0.4, -0.6
"""As high as a real fault, but so rare that the scan stays good."""

OTHER_CLASS_SHARE = 0.4
"""A companion of another class has at most this share of the leader's severity."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that will go wrong: how badly, 0..1, and over how much of the frame, on the same scale."""

    kind: str
    severity: float
    extent: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of the frame, family of the sample, and the faults, leading one first: in a good scan a blemish at most."""

    rows: int
    cols: int
    surface: str
    good: bool
    faults: tuple[Fault, ...]


class Streams:
    """The random streams of one scan. Asking twice for a part starts it again: the same draws, the same values."""

    def __init__(self, seed: int, recipe: Recipe) -> None:
        if seed < 0:
            raise InvalidInput("seed", why=f"{seed} is negative", mend="Give 0 or more", field="seed")
        self.seed, self.recipe = seed, recipe
        self._draws: dict[str, Draw] = {}

    def draw(self, part: str) -> Draw:
        """The stream of one part, at its start."""
        key = (self.recipe.stream, *part.encode())
        seed = np.random.SeedSequence(self.seed, spawn_key=key)
        self._draws[part] = Draw(seed, bands=self.recipe.bands)
        return self._draws[part]

    def values(self) -> dict[str, Any]:
        """Every parameter drawn so far, by part."""
        return {part: draw.values for part, draw in self._draws.items()}


def planned(streams: Streams, shape: tuple[int, int] | None) -> Plan:
    """Decide size, sample and faults. Raises ``InvalidInput`` for a shape out of range."""
    recipe, draw = streams.recipe, streams.draw("plan")
    rows, cols = shape or recipe.shapes[int(draw.rng.integers(len(recipe.shapes)))]
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (rows, cols)):
        raise InvalidInput(
            "shape", why=f"{rows} × {cols} is not within {MIN_SIDE}..{MAX_SIDE}", mend="Give another", field="shape"
        )
    surface = draw.choice("surface", *zip(*recipe.surfaces, strict=True))
    good = draw.chance("good", recipe.good)
    return Plan(rows, cols, surface, good, _blemish(draw, recipe) if good else _troubles(draw, recipe))


def _blemish(draw: Draw, recipe: Recipe) -> tuple[Fault, ...]:
    if not draw.chance("blemished", recipe.blemish):
        return ()
    kinds = [kind for kind in ("spike", "scar") if kind in dict(recipe.kinds)]
    return (Fault(draw.choice("blemish", kinds), BLEMISH_SEVERITY, BLEMISH_EXTENT),) if kinds else ()


def _troubles(draw: Draw, recipe: Recipe) -> tuple[Fault, ...]:
    names, weights = zip(*recipe.kinds, strict=True)
    faults = [_fault(draw.choice("kind_1", names, weights), draw.uniform("severity_1", *recipe.severity))]
    for number in (2, 3):
        if draw.rng.random() >= recipe.companion:
            break
        kind = draw.choice(f"kind_{number}", names, weights)
        if kind not in (fault.kind for fault in faults):
            same = KINDS[kind] is KINDS[faults[0].kind]
            most = faults[0].severity * (1.0 if same else OTHER_CLASS_SHARE)
            faults.append(_fault(kind, draw.uniform(f"severity_{number}", 0.0, most)))
    return tuple(faults)


def _fault(kind: str, severity: float) -> Fault:
    return Fault(kind, severity, extent=severity)
