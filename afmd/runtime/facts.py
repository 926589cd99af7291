"""What each step tells, as JSON-ready facts: the vocabulary that the ledger keeps and the wire gives out.

Rule: numbers are rounded to what they mean, paths never leave the daemon, and a NaN becomes None.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from afmd.domain.levelling import Levelling
from afmd.domain.result import Deconvolved, Restoration
from afmd.domain.scan import Scan
from afmd.telemetry.logs import error_fields, ours


def of_scan(scan: Scan) -> dict[str, Any]:
    """Return what reading taught: size, pitch, channels."""
    rows, cols = scan.heights.shape
    return {
        "rows": rows,
        "cols": cols,
        "rows_expected": scan.rows_expected,
        "partial": scan.partial,
        "pixel_nm": [float(pitch) for pitch in scan.pixel_nm],
        "channels": [{"name": c.name, "direction": c.direction.value, "unit": c.unit} for c in scan.channels],
    }


def of_restoration(restoration: Restoration, *, repair: int, total_ms: float) -> dict[str, Any]:
    """Return what the pipeline found; ``total_ms`` from opening the file to results that can be fetched."""
    quality = restoration.quality
    return {
        "label": restoration.label.value,
        "probabilities": {label.value: _number(p, 4) for label, p in restoration.probabilities.items()},
        "abstained": restoration.abstained,
        "masked_share": _number(float(restoration.mask.mean()), 6),
        "touched_share": _number(quality.touched_share, 6),
        "confidence": _number(quality.confidence, 4),
        "verdict": quality.verdict,
        "refusal": restoration.refusal,
        "repair": repair,
        "classifier": str(restoration.classifier),
        "segmenter": str(restoration.segmenter),
        "sa_before_nm": _number(quality.before.sa_nm, 6),
        "sa_after_nm": _number(quality.after.sa_nm, 6),
        "params": restoration.params.as_dict(),
        "total_ms": _number(total_ms, 1),
        "levelling": _of_levelling(restoration.levelling),
        **_of_tip(restoration.deconvolved),
    }


def _of_levelling(found: Levelling) -> dict[str, Any]:
    """Return how it was levelled, and what was taken off."""
    told = asdict(found)
    for several in ("jumps", "disturbances"):
        told[several] = [
            {name: _number(value, 6) if isinstance(value, float) else value for name, value in one.items()}
            for one in told[several]
        ]
    return told


def _of_tip(found: Deconvolved | None) -> dict[str, Any]:
    """Return what became of the tip's shape; one fact alone, so that a further repair replaces it whole."""
    if found is None:
        return {"deconvolution": None}
    tip = found.tip
    told = {
        "method": found.method.value, "backend": str(found.backend), "refusal": found.refusal,
        "estimated": found.estimated, "touched_share": _number(float(found.touched.mean()), 6),
    }  # fmt: skip
    if tip is not None:
        told |= {
            "form": tip.form.value, "radius_nm": _number(tip.radius_nm, 4),
            "radius_sigma_nm": _number(tip.radius_sigma_nm, 4), "half_angle_deg": _number(tip.half_angle_deg, 3),
        }  # fmt: skip
    return {"deconvolution": told}


def of_outputs(names: Iterable[str]) -> dict[str, Any]:
    """Return the names of the files that a repair wrote."""
    return {"outputs": sorted(names)}


def of_error(error: BaseException) -> dict[str, Any]:
    """Return reason, what, why and mend of an error, and ``error``, the three texts in one line."""
    return {**error_fields(error), "error": str(ours(error))}


def without_error() -> dict[str, Any]:
    """Return what makes the ledger forget an earlier error."""
    return dict.fromkeys(("reason", "error", "what", "why", "mend", "retry"))


def without_tries() -> dict[str, Any]:
    """Return what makes the ledger forget how often a scan was tried."""
    return dict.fromkeys(("attempts", "retries"))


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None
