"""Scans and restorations made by hand: what the outputs are tested with, without a pipeline."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from afmd.domain.findings import Backend, Label
from afmd.domain.levelling import Disturbance, DisturbanceKind, Jump, Levelling
from afmd.domain.params import Params
from afmd.domain.result import Deconvolved, Quality, Restoration, Roughness
from afmd.domain.scan import Channel, Direction, Frame, Scan
from afmd.domain.tip import Tip
from afmd.domain.tip_method import TipMethod
from afmd.files.nanoscope import decode, encode


def file_of(shape: tuple[int, int] = (40, 60), *, seed: int = 0, rows_expected: int | None = None) -> bytes:
    """A NanoScope file of a bumpy surface with both passes and a phase."""
    dice = np.random.default_rng(seed)
    down, across = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    heights = 8 * np.sin(down / 6) * np.cos(across / 9) + dice.normal(0, 0.2, shape) + 0.3 * across
    channels = [
        Channel("Height Sensor", Direction.TRACE, "nm", heights.astype(np.float32)),
        Channel("Height Sensor", Direction.RETRACE, "nm", (heights + 0.1).astype(np.float32)),
        Channel("Phase", Direction.TRACE, "°", (heights / 3).astype(np.float32)),
    ]
    return encode(channels, pixel_nm=(4.0, 2.0), frame=Frame.UP, rows_expected=rows_expected, note="made by hand")


LEVELLING = Levelling(
    "joint", "row", 2, (Jump(12, 0, 4.5),), (Disturbance(DisturbanceKind.FRINGES, 1.25, 0.01, -0.02),)
)


def scan_of(data: bytes, name: str = "made.001") -> Scan:
    return decode(data, name=name)


def restoration_of(
    scan: Scan, *, label: Label = Label.NOT_TRACKING, refusal: str = "", scale: float = 0.5
) -> Restoration:
    """A restoration whose third row is spoilt and filled with zeros."""
    spoilt = np.zeros(scan.heights.shape, dtype=bool)
    spoilt[2, 3:20] = True
    flattened = (scan.heights - scan.heights.mean()).astype(np.float32) * np.float32(scale)
    touched = np.zeros_like(spoilt) if refusal or label is Label.GOOD else spoilt
    return Restoration(
        label=label,
        probabilities=MappingProxyType({k: 0.85 if k is label else 0.05 for k in Label}),
        abstained=False,
        raw_mask=spoilt,
        mask=spoilt,
        excluded=np.zeros_like(spoilt),
        flattened=flattened,
        restored=np.where(touched, np.float32(0), flattened),
        touched=touched,
        sigma=np.where(touched, np.float32(0.7), np.float32(0)),
        quality=_quality(float(touched.mean())),
        params=Params(thr=0.4),
        classifier=Backend("rules", "1"),
        segmenter=Backend("rules", "1"),
        timings_ms=MappingProxyType({"classify": 1.5, "total": 20.0}),
        levelling=LEVELLING,
        refusal=refusal,
    )


def without_tip(restoration: Restoration, *, refusal: str = "") -> Restoration:
    """The same with its tip removed: every height a nanometre lower, but for the first row, which it touched."""
    touched = np.zeros(restoration.restored.shape, dtype=bool)
    touched[0] = not refusal
    found = Deconvolved(
        surface=np.where(touched, restoration.restored, restoration.restored - np.float32(1)),
        sigma=np.full_like(restoration.restored, 0.3), touched=touched, tip=Tip(9.5, 21.0, radius_sigma_nm=0.4),
        estimated=True, method=TipMethod.CERTAINTY, backend=Backend("certainty", "1"), refusal=refusal,
    )  # fmt: skip
    return replace(restoration, deconvolved=found)


def _quality(touched: float) -> Quality:
    return Quality(
        before=Roughness(5.0, 6.0, 40.0, 0.1, 0.2), after=Roughness(2.5, 3.0, 20.0, 0.1, 0.2), sigma_bg_nm=0.4,
        rmse_line_nm=0.3, mean_gradient=0.1, tilt_removed=0.9, touched_share=touched, worst_fill_nm=2.0,
        confidence=0.8, verdict="One streak was filled.", pass_rms_before_nm=None, pass_rms_after_nm=float("nan"),
    )  # fmt: skip
