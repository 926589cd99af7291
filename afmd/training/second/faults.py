"""Every kind of fault that this microscope has, in the order in which they befall a scan.

Rule: the first three image the surface anew, so that only one of them can befall a scan, and before all others.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from afmd.training.second import faults_added, faults_loop, faults_lost, faults_streaks, faults_tip
from afmd.training.second.instrument import Instrument, Passes

Fault = Callable[[np.random.Generator, Instrument, float, Passes], Passes]
"""What becomes of a scan's passes by a fault of the given strength, about 1 for one that is plain to see."""

TIP_FAULTS = ("blunt_tip", "double_tip", "tip_change")
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "blunt_tip": faults_tip.blunt_tip,
        "double_tip": faults_tip.double_tip,
        "tip_change": faults_tip.tip_change,
        "ringing": faults_loop.ringing,
        "smear": faults_loop.smear,
        "parachute": faults_loop.parachute,
        "drag": faults_streaks.drag,
        "scar": faults_streaks.scar,
        "lost_lines": faults_lost.lost_lines,
        "jump": faults_lost.jump,
        "start_drift": faults_added.start_drift,
        "ripple": faults_added.ripple,
        "spike": faults_added.spike,
        "lift_off": faults_lost.lift_off,
        "saturation": faults_added.saturation,
    }
)
"""Kinds by the names of `afmd.twin.KINDS`, in order."""

FAULTY, SECOND = 0.75, 0.2
"""Shares of scans with a fault, and of these with two."""


def one_kind(rng: np.random.Generator) -> list[str]:
    """Draw one kind of fault."""
    return [str(rng.choice(list(FAULTS)))]


def some_kinds(rng: np.random.Generator) -> list[str]:
    """Draw no kind of fault, one, or two, in order."""
    if rng.random() >= FAULTY:
        return []
    kinds = one_kind(rng)
    if rng.random() < SECOND:
        kinds.append(str(rng.choice(_companions(kinds[0]))))
    return sorted(kinds, key=list(FAULTS).index)


def _companions(kind: str) -> Sequence[str]:
    taken = TIP_FAULTS if kind in TIP_FAULTS else (kind,)
    return [other for other in FAULTS if other not in taken]
