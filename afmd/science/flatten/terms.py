"""What every levelling method is given and gives back. Rule: heights + background is the input again, to float32."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from afmd.domain.levelling import Disturbance, Jump, Levelling

FEW, FEW_OF_LINE = 0.01, 0.25
"""Pixels that are fewer than this share of the frame, and of every line, sway no fit."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What a method may look at.

    ``heights``: float32 (rows, cols) nm, finite, never written. ``trusted``: bool, True = may vote, or None when
    every pixel may. ``weights``: float32 (rows, cols) ≥ 0, or None. ``pixel_nm``: pitch (down, across).
    ``feature``, ``spoilt``: bool, True = stands out, may be spoilt, and is trusted only where that proves to be right;
    None: nothing does.
    """

    heights: NDArray[np.float32]
    trusted: NDArray[np.bool_] | None
    weights: NDArray[np.float32] | None
    pixel_nm: tuple[float, float]
    feature: NDArray[np.bool_] | None = None
    spoilt: NDArray[np.bool_] | None = None

    def turned(self) -> Self:
        """Return the same ground with rows and columns exchanged (views)."""
        return replace(
            self,
            heights=self.heights.T,
            trusted=None if self.trusted is None else self.trusted.T,
            weights=None if self.weights is None else self.weights.T,
            pixel_nm=self.pixel_nm[::-1],
            feature=None if self.feature is None else self.feature.T,
            spoilt=None if self.spoilt is None else self.spoilt.T,
        )

    def votings(self) -> list[Self]:
        """Return this ground as it is, then with its features trusted, then with what may be spoilt trusted too.

        Each where it adds enough to the one before to tell otherwise.
        """
        grounds = [replace(self, feature=None, spoilt=None)]
        told = self.trusted
        trusted = told
        for more in (self.feature, self.spoilt):
            if told is not None and trusted is not None and more is not None:
                trusted = trusted | more
                if _sways(trusted & ~told):
                    told = trusted
                    grounds.append(replace(grounds[-1], trusted=told))
        return grounds

    def without(self, surface: NDArray[np.floating]) -> Self:
        """Return the same ground after ``surface`` has been taken off."""
        return replace(self, heights=np.subtract(self.heights, surface, dtype=np.float32, casting="same_kind"))

    def votes(self) -> NDArray[np.float32]:
        """Return each pixel's weight, float32 (rows, cols), 0 where it is not trusted."""
        votes = np.ones(self.heights.shape, dtype=np.float32) if self.weights is None else self.weights.copy()
        if self.trusted is not None:
            votes[~self.trusted] = 0
        return votes


def _sways(added: NDArray[np.bool_]) -> bool:
    """True where so many pixels may turn a fit."""
    by_line = added.mean(axis=1)
    return bool(by_line.mean() >= FEW or by_line.max() >= FEW_OF_LINE)


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What a method wants taken off.

    ``surface``: nm, float, broadcastable to (rows, cols); ``base_nm`` comes on top of it, apart so that float32 holds
    the surface exactly enough. ``on_bars``: whether bars along the lines were found and left alone. The
    rest as in `Levelling`.
    """

    surface: NDArray[np.floating]
    base_nm: float = 0.0
    direction: str = ""
    order: int = 0
    jumps: tuple[Jump, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    on_bars: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Levelled:
    """A levelled surface and how it came about.

    ``heights``: float32 (rows, cols) nm, new. ``background``: float32 (rows, cols) nm, what was taken off, with
    everything that ``levelling`` tells of.
    """

    heights: NDArray[np.float32]
    background: NDArray[np.float32]
    levelling: Levelling
