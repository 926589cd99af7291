"""Blank lines, taken off before a scan is looked at and laid back afterwards. Rule: nothing is invented for them."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Clipped, Segmentation
from afmd.domain.levelling import Levelling
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.science.blank import scanned_lines

Plane = NDArray[Any]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A ``scan``, and the ``part`` of it that was scanned: the scan itself where it has no blank lines."""

    scan: Scan
    part: Scan
    lines: slice

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """Take the blank lines (`scanned_lines`) off a scan."""
        lines = scanned_lines(scan.heights)
        if lines == slice(0, len(scan.heights)):
            return cls(scan, scan, lines)
        retrace = None if scan.retrace is None else scan.retrace[lines]
        return cls(scan, replace(scan, heights=scan.heights[lines], retrace=retrace, channels=()), lines)

    def masks(self, part: Segmentation) -> Segmentation:
        """Return the masks of the scan from those of its part: blank lines are spoilt for sure."""
        if self.part is self.scan:
            return part
        return replace(
            part, probability=self._laid(part.probability, 1), raw_mask=self._laid(part.raw_mask, 1),
            mask=self._laid(part.mask, 1), feature=self.flags(part.feature), ghosts=self.flags(part.ghosts),
            changed=self.flags(part.changed), bars=self.flags(part.bars),
            clipped=None if part.clipped is None else Clipped(*map(self._laid, part.clipped)),
        )  # fmt: skip

    def restoration(self, part: Restoration, *, excluded: Flags) -> Restoration:
        """Return the restoration of the scan from that of its part; ``excluded``: what a user did, (rows, cols).

        Blank lines are in the mask and not filled; they hold the lowest height of the levelled part.
        """
        if self.part is self.scan:
            return part
        lowest = part.flattened.min()
        undone = part.deconvolved
        if undone is not None:
            undone = replace(
                undone, surface=self._laid(undone.surface, lowest), sigma=self._laid(undone.sigma),
                touched=self._laid(undone.touched),
            )  # fmt: skip
        return replace(
            part, raw_mask=self._laid(part.raw_mask, 1), mask=self._laid(part.mask, 1),
            excluded=excluded, flattened=self._laid(part.flattened, lowest),
            restored=self._laid(part.restored, lowest), touched=self._laid(part.touched),
            sigma=self._laid(part.sigma), deconvolved=undone,
            levelling=self.levelling(part.levelling),
            quality=replace(part.quality, verdict=f"{self._told()} {part.quality.verdict}"),
        )  # fmt: skip

    def levelling(self, part: Levelling) -> Levelling:
        """Return how the part was levelled, its jumps counted from the scan's first line."""
        return replace(part, jumps=tuple(replace(jump, row=jump.row + self.lines.start) for jump in part.jumps))

    def flags(self, part: Flags | None) -> Flags | None:
        """Return flags of the part's lines, or of their pixels, as the scan's; blank ones are False."""
        return None if part is None else self._laid(part)

    def _laid(self, part: Plane, blank: float = 0) -> Plane:
        """Return an array of the part's lines as one of the scan's, blank lines holding ``blank``."""
        whole = np.full((len(self.scan.heights), *part.shape[1:]), blank, dtype=part.dtype)
        whole[self.lines] = part
        return whole

    def _told(self) -> str:
        """Say which lines are blank, counted from 1 at the top."""
        rows = len(self.scan.heights)
        bands = [(1, self.lines.start), (self.lines.stop + 1, rows)]
        told = " and ".join(f"{first}–{last}" for first, last in bands if first <= last)
        return f"Lines {told} from the top hold no heights."
