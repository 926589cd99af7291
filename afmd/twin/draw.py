"""Random numbers that remember themselves. Rule: every parameter of a simulated scan is drawn here, by name.

A parameter is drawn through its quantile, and the quantile is confined to ``bands`` of the unit interval. Two recipes
with disjoint bands therefore never share a value of any continuous parameter, whatever its range.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

Bands = tuple[tuple[float, float], ...]
Option = TypeVar("Option")

WHOLE: Bands = ((0.0, 1.0),)


class Draw:
    """Draws from one seeded stream and records each value under its name, JSON-ready, in ``values``.

    ``rng`` is for realisations (noise, positions), which are not parameters and are not recorded.
    """

    def __init__(self, seed: np.random.SeedSequence, *, bands: Bands = WHOLE) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.bands = bands
        self.values: dict[str, Any] = {}

    def uniform(self, name: str, low: float, high: float) -> float:
        """Draw from ``low``..``high``."""
        return self._keep(name, low + (high - low) * self._quantile())

    def log(self, name: str, low: float, high: float) -> float:
        """Draw from ``low``..``high``, evenly in the logarithm."""
        return self._keep(name, float(low * (high / low) ** self._quantile()))

    def integer(self, name: str, low: int, high: int) -> int:
        """Draw from ``low``..``high``, both included."""
        value = min(int(low + (high + 1 - low) * self._quantile()), high)
        self.values[name] = value
        return value

    def chance(self, name: str, probability: float) -> bool:
        """Draw a yes with ``probability``."""
        value = bool(self.rng.random() < probability)
        self.values[name] = value
        return value

    def choice(self, name: str, options: Sequence[Option], weights: Sequence[float] | None = None) -> Option:
        """Draw one of ``options``."""
        share = np.cumsum(np.ones(len(options)) if weights is None else np.asarray(weights, dtype=np.float64))
        value = options[min(int(np.searchsorted(share, self.rng.random() * share[-1], side="right")), len(options) - 1)]
        self.values[name] = value if isinstance(value, str | int | float | bool) else str(value)
        return value

    def _quantile(self) -> float:
        at = self.rng.random() * sum(high - low for low, high in self.bands)
        for low, high in self.bands:
            if at <= high - low:
                return low + at
            at -= high - low
        return self.bands[-1][1]

    def _keep(self, name: str, value: float) -> float:
        self.values[name] = round(value, 6) if abs(value) >= 1 else float(f"{value:.6g}")
        return value
