"""What goes wrong. Rule: an artefact acts at one stage of the microscope, as its cause does; they all stand here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from afmd.twin.artifacts import contamination, imaging, tracking
from afmd.twin.artifacts.scene import Stage


@dataclass(frozen=True, slots=True)
class Fault:
    """Where an artefact acts, and the function of (draw, scene, the stage's values)."""

    stage: Stage
    act: Callable[..., Any]


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "lost_lines": Fault(Stage.PATH, tracking.lost_lines),
        "lift_off": Fault(Stage.PATH, tracking.lift_off),
        "jump": Fault(Stage.PATH, tracking.jump),
        "parachute": Fault(Stage.LOOP, tracking.parachute),
        "scar": Fault(Stage.PATH, tracking.scar),
        "drag": Fault(Stage.PATH, tracking.drag),
        "double_tip": Fault(Stage.TIP, contamination.double_tip),
        "blunt_tip": Fault(Stage.TIP, contamination.blunt_tip),
        "tip_change": Fault(Stage.TIP, contamination.tip_change),
        "debris_pickup": Fault(Stage.TIP, contamination.debris_pickup),
        "smear": Fault(Stage.PATH, tracking.smear),
        "ripple": Fault(Stage.SIGNAL, imaging.ripple),
        "mains": Fault(Stage.SIGNAL, imaging.mains),
        "spike": Fault(Stage.SIGNAL, imaging.spike),
        "burst": Fault(Stage.SIGNAL, imaging.burst),
        "ringing": Fault(Stage.LOOP, imaging.ringing),
        "start_drift": Fault(Stage.PATH, imaging.start_drift),
        "saturation": Fault(Stage.CLIP, imaging.saturation),
    }
)
