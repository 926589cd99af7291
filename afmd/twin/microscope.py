"""One simulated scan: sample, tip, raster, loop, scanner, noise, and what went wrong.

Rule: a scan with a fault is recorded twice with the same noise, with and without it; the difference *is* the artefact.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.twin.grid import Heights, Mask
from afmd.twin.plan import Fault, Plan, Streams, planned
from afmd.twin.recipe import KINDS, TRAINING, Recipe
from afmd.twin.recording import Frame, Microscope, mounted, recorded
from afmd.twin.sample import prepared
from afmd.twin.saving import File, saved

VISIBLE_SHARE, VISIBLE_OVER_NOISE, VISIBLE_OVER_RELIEF = 0.01, 3.0, 0.05
NEGLIGIBLE_SHARE = 1e-3
"""Where fewer pixels moved, the scan is good, whatever had been intended; a blemish that moves more is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A scan and everything that is true about it. Arrays are (rows, cols), row 0 at the top, as in ``scan.heights``.

    ``truth``: float32 nm, the sample itself. ``imaged``: float32 nm, the sample dilated by the good tip: the best that
    levelling and filling can reach, and what they are judged against. ``background``: float32 nm, scanner field, line
    offsets, and what the instrument subtracted before saving. ``displacement``: float32 nm, heights with the artefact
    minus heights without it, background aside. So heights = imaged + the loop's own error + displacement + background
    + noise. ``error``: float32 nm, the amplitude error of the same pass. ``artifact``: True where the displacement
    (for waves its envelope) exceeds ``parameters["threshold_nm"]``: 3 times the noise, at least 2 % of the relief.
    ``feature``: True where the tip touched what stands out of the substrate, or sinks into it: the image's features.
    ``label``: the class of the most salient artefact; good where fewer than 0.1 % of the pixels moved. ``kinds``:
    artefacts present, those of that class first, empty for a good scan. ``visible``: at least 1 % of the pixels moved,
    by a median of at least 3 times the noise and 5 % of the relief. ``severity``: drawn strength, 0 hardly above the
    noise, 1 as high as the relief; 0 for good scans.
    ``parameters``: everything that was drawn, JSON-ready.
    """

    truth: NDArray[np.float32]
    imaged: NDArray[np.float32]
    scan: Scan
    error: NDArray[np.float32]
    artifact: NDArray[np.bool_]
    feature: NDArray[np.bool_]
    label: Label
    kinds: tuple[str, ...]
    visible: bool
    severity: float
    displacement: NDArray[np.float32]
    background: NDArray[np.float32]
    parameters: dict[str, Any]


def simulate(seed: int, *, shape: tuple[int, int] | None = None, recipe: Recipe | None = None) -> Simulated:
    """Simulate one scan; the same seed, shape and recipe give the same scan.

    ``shape``: rows and columns, 32 to 4096 each; drawn from the recipe if None. ``recipe``: ``TRAINING`` if None.
    Raises ``InvalidInput``.
    """
    streams = Streams(seed, recipe or TRAINING)
    plan = planned(streams, shape)
    microscope = mounted(streams, prepared(streams, plan), (plan.rows, plan.cols))
    clean = recorded(microscope, streams, ())
    frame = recorded(microscope, streams, plan.faults) if plan.faults else clean
    if plan.good and _moved_share(microscope, frame, clean) >= NEGLIGIBLE_SHARE:
        plan, frame = replace(plan, faults=()), clean
    leading = _leading(microscope, streams, plan, clean)
    return _Result(microscope, streams, plan, clean, frame).assembled(leading)


def _leading(microscope: Microscope, streams: Streams, plan: Plan, clean: Frame) -> Label:
    """The class of the most salient artefact; where two classes meet, each is recorded alone to find out."""
    classes = list(dict.fromkeys(KINDS[fault.kind] for fault in plan.faults))
    if len(classes) < 2:
        return classes[0] if classes else Label.GOOD
    weight = {}
    for label in classes:
        alone = recorded(microscope, streams, [fault for fault in plan.faults if KINDS[fault.kind] is label])
        weight[label] = _salience(microscope, _moved(alone, clean)[microscope.own])
    return max(classes, key=lambda label: weight[label])


def _moved_share(microscope: Microscope, frame: Frame, clean: Frame) -> float:
    return float((_moved(frame, clean)[microscope.own] > microscope.scene.threshold_nm).mean())


def _salience(microscope: Microscope, moved: Heights) -> float:
    """How much an eye is drawn: moved pixels count fully from 5 % of the relief on."""
    full = max(VISIBLE_OVER_RELIEF * microscope.scene.relief_nm, VISIBLE_OVER_NOISE * microscope.scene.noise_nm)
    return float(np.minimum(moved / full, 1.0).mean())


def _moved(frame: Frame, clean: Frame) -> Heights:
    """How far each pixel of each pass was moved, nm, (2, rows, cols)."""
    moved = np.abs(_displacement(frame, clean))
    if frame.wave_px:
        moved = ndimage.maximum_filter1d(moved, 2 * round(frame.wave_px / 4) + 1, axis=2)
    return np.maximum(moved, frame.envelope)


def _displacement(frame: Frame, clean: Frame) -> Heights:
    return frame.heights - clean.heights + frame.clipped_nm


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    microscope: Microscope
    streams: Streams
    plan: Plan
    clean: Frame
    frame: Frame

    def assembled(self, leading: Label) -> Simulated:
        """Put everything together as it is saved: one pass, turned as the file is."""
        scene, frame = self.microscope.scene, self.frame
        background = self.microscope.field.background + frame.offsets[:, None]
        heights = frame.heights + frame.clipped_nm + background + self.microscope.noise.sensor
        file = saved(self.streams, scene, heights, frame.error, own=self.microscope.own)
        moved = _moved(frame, self.clean)[file.own]
        artifact = moved > scene.threshold_nm
        label, visible = self._judged(leading, artifact, moved)
        good = label is Label.GOOD
        return Simulated(
            truth=file.nm(scene.grid.cropped(scene.surface)), imaged=file.nm(scene.grid.cropped(scene.imaged)),
            scan=file.scan, error=file.nm(frame.error[file.own]), artifact=file.turned(artifact),
            feature=file.turned(scene.grid.cropped(scene.feature)), label=label,
            kinds=() if good else self._kinds(label), visible=visible,
            severity=0.0 if good else max(fault.severity for fault in self.plan.faults),
            displacement=file.nm(_displacement(frame, self.clean)[file.own]),
            background=file.nm((background - file.subtracted)[file.own]),
            parameters=self._parameters(file, artifact, moved),
        )  # fmt: skip

    def _judged(self, leading: Label, artifact: Mask, moved: Heights) -> tuple[Label, bool]:
        scene, share = self.microscope.scene, float(artifact.mean())
        if share < NEGLIGIBLE_SHARE:
            return Label.GOOD, False
        enough = max(VISIBLE_OVER_NOISE * scene.noise_nm, VISIBLE_OVER_RELIEF * scene.relief_nm)
        return leading, share >= VISIBLE_SHARE and float(np.median(moved[artifact])) >= enough

    def _kinds(self, label: Label) -> tuple[str, ...]:
        return tuple(fault.kind for fault in sorted(self.plan.faults, key=lambda fault: KINDS[fault.kind] is not label))

    def _parameters(self, file: File, artifact: Mask, moved: Heights) -> dict[str, Any]:
        scene = self.microscope.scene
        return {
            "seed": self.streams.seed, "stream": self.streams.recipe.stream, "shape": list(scene.shape),
            "pixel_nm": [scene.grid.down_nm, scene.grid.across_nm], "relief_nm": scene.relief_nm,
            "noise_nm": scene.noise_nm, "threshold_nm": scene.threshold_nm, "lsb_nm": file.lsb_nm,
            "moved_share": float(artifact.mean()),
            "moved_typically_nm": float(np.median(moved[artifact])) if artifact.any() else 0.0,
            "faults": [_written(fault) for fault in self.plan.faults], **self.streams.values(),
        }  # fmt: skip


def _written(fault: Fault) -> dict[str, Any]:
    return {"kind": fault.kind, "class": KINDS[fault.kind].value, "severity": fault.severity}
