"""One scan of the second microscope: what befalls it, how strong it has to be to be seen, and what is true about it.

Rule: a scan with faults is followed twice, with and without them; the difference is the artefact. Strengths are changed
until the faults show as much as was drawn, plainly or faintly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Label
from afmd.training.second.faults import FAULTS, one_kind, some_kinds
from afmd.training.second.instrument import Instrument, Passes
from afmd.training.second.samples.grid import Heights, Mask
from afmd.twin import KINDS

STREAM = 5000
INSTRUMENT, FAULT = 77, 78
"""Streams of random numbers: of all this microscope's scans, and in it of what is scanned and of what befalls it."""
PLAIN = 2 / 3
"""Share of faulty scans whose faults are meant to be plain to see."""
VISIBLE_SHARE, FAINT_SHARE = 0.01, 4e-4
"""Shares of the frame from which on visible and faint faults show."""
ENOUGH_VISIBLE, ENOUGH_FAINT = 0.0102, 6e-4
"""Shares that are aimed at, a little above those."""
OWN_VISIBLE, OWN_FAINT = 4e-3, 2e-4
"""Least shares of the frame that each of several faults should move."""
PLAIN_CHANGE = 0.015
"""Mean change over the frame, as a share of the relief, from which on a fault is no longer faint."""
GROWTH, FAINT_GROWTH, SHRINKAGE = 1.5, 1.4, 0.65
"""How strengths change from turn to turn."""
LEADING = 0.3
"""Only faults that move this share of what the leading one moves are made fainter."""
LAST_TURN = 3
"""Afterwards a plain fault may hide behind another one, and a faint one may be plain."""
SAMPLES_TRIED, STRENGTHS_TRIED = 4, 7
VISIBLE_SEVERITY, FAINT_SEVERITY = 1.0, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A scan with its answers. Arrays are (rows, cols), row 0 at the top.

    ``heights``, ``retrace``: float32 nm, as the file holds them. ``truth``: float64 nm, the levelled image of the good
    tip. ``artifact``: True where the faults moved the heights by more than 3 times the noise and 2 % of the relief.
    ``feature``: True where the surface stands out of its substrate. ``pixel_nm``: down and across. ``label``: the class
    of the leading kind, the one that moved most pixels. ``kinds``: it first, by the names of `afmd.twin.KINDS`; empty
    for a good scan. ``visible``: at least 1 % of the pixels moved, as intended. ``severity``: 1 visible, 0.2 faint,
    0 good. ``surface``: the sample's kind.
    """

    heights: NDArray[np.float32]
    retrace: NDArray[np.float32] | None
    truth: Heights
    artifact: Mask
    feature: Mask
    pixel_nm: tuple[float, float]
    label: Label
    kinds: tuple[str, ...]
    visible: bool
    severity: float
    surface: str


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """Both passes with faults.

    ``change``: nm, of the trace, by all faults. ``artifact``: True where it is more than noise; ``moved``: the same for
    each fault in turn.
    """

    passes: Passes
    change: Heights
    artifact: Mask
    moved: tuple[Mask, ...]

    @property
    def share(self) -> float:
        """Return the share of the frame that is spoilt."""
        return float(self.artifact.mean())

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return the share of the frame that each fault moved."""
        return np.array([moved.mean() for moved in self.moved])

    def shows(self, visible: bool) -> bool:
        """Return whether every fault moved something, and all together enough."""
        return bool(self.shares.min() > 0 and self.share >= (VISIBLE_SHARE if visible else FAINT_SHARE))


def scan(seed: int) -> Recorded:
    """Record one scan; the same seed gives the same scan."""
    rng = np.random.default_rng([STREAM, seed, INSTRUMENT])
    instrument = Instrument.mounted(rng)
    kinds, visible, spoilt = _befallen(rng, instrument, seed)
    heights, retrace = instrument.written(rng, spoilt.passes)
    label, severity = Label.GOOD, 0.0
    if kinds:
        leading = kinds[int(np.argmax([moved.sum() for moved in spoilt.moved]))]
        label, severity = KINDS[leading], VISIBLE_SEVERITY if visible else FAINT_SEVERITY
        kinds = sorted(kinds, key=lambda kind: kind != leading)
    specimen = instrument.specimen
    return Recorded(
        heights, retrace, specimen.truth, spoilt.artifact, specimen.feature, pixel_nm=specimen.pixel_nm, label=label,
        kinds=tuple(kinds), visible=visible, severity=severity, surface=f"second_{specimen.kind}",
    )  # fmt: skip


def spoil(instrument: Instrument, kinds: Sequence[str], strengths: Sequence[float], stream: Sequence[int]) -> Spoilt:
    """Let faults of the given strengths befall a scan, one after the other, each with random numbers of its own."""
    clean = instrument.followed(instrument.specimen.truth + instrument.specimen.ground)
    passes, moved = clean, []
    for kind, strength in zip(kinds, strengths, strict=True):
        rng = np.random.default_rng([*stream, list(FAULTS).index(kind)])
        before, passes = passes, FAULTS[kind](rng, instrument, strength, passes)
        moved.append(instrument.moved(passes.trace - before.trace))
    change = passes.trace - clean.trace
    return Spoilt(passes, change, instrument.moved(change), tuple(moved))


def _befallen(rng: np.random.Generator, instrument: Instrument, seed: int) -> tuple[list[str], bool, Spoilt]:
    """Draw faults until the sample shows them: one without a steep edge, say, shows no tails.

    Returns their kinds, whether they are visible, and the spoilt passes.
    """
    kinds = some_kinds(rng)
    if kinds:
        plain = bool(rng.random() < PLAIN)
        for attempt in range(SAMPLES_TRIED):
            kinds = one_kind(rng) if attempt else kinds
            strength = rng.uniform(0.8, 1.3) if plain else rng.uniform(0.18, 0.35)
            spoilt = _tuned(instrument, kinds, strength, plain=plain, stream=(STREAM, seed, FAULT, attempt))
            if spoilt.shows(plain):
                break
        if spoilt.artifact.any():
            return kinds, plain and spoilt.share >= VISIBLE_SHARE, spoilt
    return [], False, spoil(instrument, (), (), ())


def _tuned(
    instrument: Instrument, kinds: Sequence[str], strength: float, *, plain: bool, stream: Sequence[int]
) -> Spoilt:
    """Spoil a scan again and again, stronger or weaker, until its faults show as they should, or for the last time."""
    strengths = np.full(len(kinds), strength)
    for turn in range(STRENGTHS_TRIED):
        spoilt = spoil(instrument, kinds, list(strengths), stream)
        times = _stronger(spoilt, turn) if plain else _fainter(spoilt, instrument.specimen.relief_nm, turn)
        if times is None:
            break
        strengths = strengths * times
    return spoilt


def _stronger(spoilt: Spoilt, turn: int) -> NDArray[np.float64] | None:
    """Return by how much each fault must grow to be plain, None if it need not."""
    enough = spoilt.share >= ENOUGH_VISIBLE
    if enough and (spoilt.shares.min() >= OWN_VISIBLE or turn > LAST_TURN):
        return None
    return np.where((spoilt.shares < OWN_VISIBLE) | (not enough), GROWTH, 1.0)


def _fainter(spoilt: Spoilt, relief_nm: float, turn: int) -> NDArray[np.float64] | None:
    """Return by how much each fault must grow or shrink to be faint, None if it need not."""
    few = spoilt.share < ENOUGH_FAINT
    if few or spoilt.shares.min() < OWN_FAINT:
        return np.where((spoilt.shares < OWN_FAINT) | few, FAINT_GROWTH, 1.0)
    if turn <= LAST_TURN and float((np.abs(spoilt.change) * spoilt.artifact).mean() / relief_nm) > PLAIN_CHANGE:
        return np.where(spoilt.shares > LEADING * spoilt.shares.max(), SHRINKAGE, 1.0)
    return None
