"""``afmd twin scans``: simulated NanoScope files, and beside each the truth.

Rule: a file is what the microscope would have written and nothing more; whatever is true of it stands beside it, pixel
for pixel with the heights that are read from the file.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from afmd.cli.screen import out, print_json
from afmd.cli.twin.recipes import named, simulated
from afmd.domain.scan import Direction
from afmd.errors import StorageError
from afmd.files.disk import fresh_file, storage_errors, write_file
from afmd.files.nanoscope import encode
from afmd.twin import Simulated

SUFFIX, TRUTH, FACTS = ".spm", ".truth.npz", ".truth.json"
OPPOSITE = {Direction.TRACE: Direction.RETRACE, Direction.RETRACE: Direction.TRACE}
Value = TypeVar("Value", bound=np.generic)
ARRAYS = ("truth", "imaged", "displacement", "background", "artifact", "feature")
"""The arrays of the truth, as `afmd.twin.Simulated` describes them: nm in float32, or masks."""


def run(arguments: argparse.Namespace) -> int:
    """Write every scan with its truth. Raises ``InvalidInput``, ``StorageError``."""
    folder: Path = arguments.out
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    told = []
    for one in map(as_traced, simulated(arguments)):
        told.append(written(one, folder))
        if not arguments.json:
            out().print(f"{escape(told[-1]['file'])}  {escape(named(one))}")
    if arguments.json:
        print_json(told)
    return 0


def written(one: Simulated, folder: Path) -> dict[str, Any]:
    """Write one scan, its truth and its facts; return the facts. Raises ``StorageError`` where there is one already."""
    stem = folder / one.scan.name
    file = stem.with_name(f"{stem.name}{SUFFIX}")
    if file.exists():
        raise StorageError(str(file), why="there is such a scan already", mend="Give another folder or another seed")
    with fresh_file(stem.with_name(f"{stem.name}{TRUTH}")) as archive:
        np.savez_compressed(archive, **{name: getattr(one, name) for name in ARRAYS})
    facts = facts_of(one, file)
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    write_file(stem.with_name(f"{stem.name}{FACTS}"), text.encode())
    write_file(file, as_file(one))
    return facts


def as_traced(one: Simulated) -> Simulated:
    """Return a scan whose heights are its trace, which readers prefer: where they are not, the mirrored scan.

    The retrace of a sample is the trace of the sample's mirror image, so tails and truth still fit each other.
    """
    if one.scan.direction is Direction.TRACE:
        return one
    channels = tuple(
        replace(channel, values=_mirrored(channel.values), direction=OPPOSITE[channel.direction])
        for channel in one.scan.channels
    )
    own, other = (c.values for c in channels[:2])
    scan = replace(one.scan, channels=channels, heights=own, retrace=other, direction=Direction.TRACE)
    arrays: dict[str, Any] = {name: _mirrored(getattr(one, name)) for name in (*ARRAYS, "error")}
    return replace(one, scan=scan, parameters=one.parameters | {"mirrored": True}, **arrays)


def as_file(one: Simulated) -> bytes:
    """Return the scan as a NanoScope file, in the converter's own width."""
    scan = one.scan
    width = int(scan.meta["Bytes/pixel"])
    return encode(
        scan.channels, pixel_nm=scan.pixel_nm, frame=scan.frame, bytes_per_value=width, note="simulated by afmd twin"
    )


def _mirrored(values: NDArray[Value]) -> NDArray[Value]:
    return np.ascontiguousarray(values[:, ::-1])


def facts_of(one: Simulated, file: Path) -> dict[str, Any]:
    """Return what is true of the whole scan, JSON-ready."""
    return {
        "file": file.name,
        "label": one.label.value,
        "kinds": list(one.kinds),
        "visible": one.visible,
        "severity": one.severity,
        "spoilt_share": float(one.artifact.mean()),
        "feature_share": float(one.feature.mean()),
        "parameters": one.parameters,
    }
