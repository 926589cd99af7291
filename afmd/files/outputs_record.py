"""What was done to a scan, by what, with what result: the last file written, and proof that the others are whole."""

import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from afmd import __version__
from afmd.domain.events import Entry
from afmd.domain.result import Deconvolved, Restoration
from afmd.domain.scan import Scan

SCHEMA = 1
"""Grows when a key changes its meaning or goes; new keys may come without."""

_LIBRARIES = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "matplotlib")


@dataclass(frozen=True, slots=True)
class Made:
    """What one repair left on the disk: its number, its files, why others are not there, what to know of some."""

    repair: int
    outputs: Sequence[Path]
    omitted: Mapping[str, str]
    remarks: Mapping[str, str]


def record(entry: Entry, scan: Scan, restoration: Restoration, *, made: Made) -> bytes:
    """Return the record as JSON text. It holds no time of writing: the same restoration gives the same bytes."""
    told = {
        "schema": SCHEMA,
        "software": _software(),
        "machine": _machine(),
        "source": {
            "name": entry.name,
            "path": entry.path,
            "sha256": entry.sha256,
            "size_bytes": entry.fingerprint.size_bytes,
            "first_seen": entry.first_seen.isoformat(),
        },
        "scan": _scan(scan),
        "repair": made.repair,
        "restoration": _restoration(restoration),
        "outputs": {p.name: {"sha256": file_sha256(p), "size_bytes": p.stat().st_size} for p in made.outputs},
        "omitted": dict(made.omitted),
        "remarks": dict(made.remarks),
    }
    return (json.dumps(_finite(told), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file of ours."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _scan(scan: Scan) -> dict[str, Any]:
    rows, cols = scan.heights.shape
    return {
        "rows": rows,
        "cols": cols,
        "rows_expected": scan.rows_expected,
        "pixel_nm": {"down": scan.pixel_nm[0], "across": scan.pixel_nm[1]},
        "direction": scan.direction,
        "frame": scan.frame,
        "channels": [{"name": c.name, "direction": c.direction, "unit": c.unit} for c in scan.channels],
        "header": dict(scan.meta),
    }


def _restoration(restoration: Restoration) -> dict[str, Any]:
    return {
        "label": restoration.label,
        "probabilities": dict(restoration.probabilities),
        "abstained": restoration.abstained,
        "refusal": restoration.refusal,
        "classifier": asdict(restoration.classifier),
        "segmenter": asdict(restoration.segmenter),
        "params": restoration.params.as_dict(),
        "share": {
            "raw_mask": float(restoration.raw_mask.mean()),
            "mask": float(restoration.mask.mean()),
            "touched": float(restoration.touched.mean()),
            "excluded": float(restoration.excluded.mean()),
        },
        "levelling": asdict(restoration.levelling),
        "quality": asdict(restoration.quality),
        **_deconvolution(restoration.deconvolved),
        "timings_ms": dict(restoration.timings_ms),
    }


def _deconvolution(found: Deconvolved | None) -> dict[str, Any]:
    """Return what was done about the tip; nothing where nobody asked for it."""
    if found is None:
        return {}
    tip = found.tip
    described = tip and {
        "form": tip.form, "radius_nm": tip.radius_nm, "radius_sigma_nm": tip.radius_sigma_nm,
        "half_angle_deg": tip.half_angle_deg, "estimated": found.estimated,
    }  # fmt: skip
    told = {"method": found.method, "backend": asdict(found.backend), "tip": described, "refusal": found.refusal}
    return {"deconvolution": {**told, "touched": float(found.touched.mean())}}


def _finite(value: Any) -> Any:
    """Return the same without NaN and infinity, which JSON does not know; they become null."""
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _software() -> dict[str, Any]:
    return {
        "name": "afmd",
        "version": __version__,
        "python": platform.python_version(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@cache
def _machine() -> dict[str, str]:
    return {"platform": platform.platform(), "cpu": _cpu()}


def _cpu() -> str:
    """Return the processor's name: networks may differ in the last digits between two of them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
