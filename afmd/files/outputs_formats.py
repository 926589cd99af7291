"""A restoration as text and as a Gwyddion file. Rule: both say what they hold, in which unit, at which pitch."""

from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from afmd import __version__
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.files import gwy

MASK_COLOUR = {"red": 0.84, "green": 0.15, "blue": 0.31, "alpha": 0.45}
_M_PER_NM = 1e-9


def write_text(file: BinaryIO, heights: NDArray[np.float32], *, scan: Scan, title: str, sha256: str) -> None:
    """Write heights as a matrix in nm, row 0 = top, behind lines that begin with ``#``.

    The first lines are those that Gwyddion writes and other programs look for. Nine digits give back each float32 to
    the last bit.
    """
    rows, cols = heights.shape
    down, across = scan.pixel_nm
    lines = (
        f"Channel: {title}",
        f"Width: {cols * across:.9g} nm",
        f"Height: {rows * down:.9g} nm",
        "Value units: nm",
        f"Pixel pitch down: {down:.9g} nm",
        f"Pixel pitch across: {across:.9g} nm",
        f"Rows: {rows}",
        f"Columns: {cols}",
        "First row: top of the picture",
        f"Source: {scan.name} (sha256 {sha256})",
        f"Software: afmd {__version__}",
    )
    file.writelines(f"# {' '.join(line.split())}\n".encode() for line in lines)
    form = "\t".join(["%.9g"] * cols) + "\n"
    file.writelines((form % tuple(row.tolist())).encode("ascii") for row in heights)


def write_gwyddion(file: BinaryIO, scan: Scan, restoration: Restoration, *, facts: Mapping[str, str]) -> None:
    """Write raw, flattened and restored heights with their masks shown, and the uncertainty; ``facts`` is metadata."""
    title = height_title(scan)
    fields: tuple[tuple[str, NDArray[np.float32], NDArray[np.bool_] | None], ...] = (
        (f"{title}: raw", scan.heights, restoration.raw_mask),
        (f"{title}: flattened", restoration.flattened, restoration.mask),
        (f"{title}: restored", restoration.restored, restoration.touched),
        (f"{title}: standard deviation of filled pixels", restoration.sigma, None),
    )
    found = restoration.deconvolved
    if found is not None and not found.refusal:
        fields += (
            (f"{title}: without the tip's shape, inferred where marked", found.surface, ~found.touched),
            (f"{title}: standard deviation of the surface", found.sigma, None),
        )
    items: dict[str, gwy.Value] = {"/filename": scan.name}
    for i, (name, heights, mask) in enumerate(fields):
        items |= _channel(i, name, heights, mask, scan=scan)
        items[f"/{i}/meta"] = gwy.GwyObject("GwyContainer", dict(facts))
    gwy.dump(gwy.GwyObject("GwyContainer", items), file)


def height_title(scan: Scan) -> str:
    """Return name and direction of the channel that ``scan.heights`` is."""
    return next((f"{c.name} {c.direction}" for c in scan.channels if c.values is scan.heights), "Height")


def _channel(
    i: int, name: str, heights: NDArray[np.float32], mask: NDArray[np.bool_] | None, *, scan: Scan
) -> dict[str, gwy.Value]:
    pixel_m = (scan.pixel_nm[0] * _M_PER_NM, scan.pixel_nm[1] * _M_PER_NM)
    items: dict[str, gwy.Value] = {
        f"/{i}/data": gwy.data_field(heights, pixel_m=pixel_m, factor=_M_PER_NM),
        f"/{i}/data/title": name,
        f"/{i}/data/visible": True,
    }
    if mask is not None and mask.any():
        items[f"/{i}/mask"] = gwy.data_field(mask, pixel_m=pixel_m, unit="")
        items |= {f"/{i}/mask/{part}": value for part, value in MASK_COLOUR.items()}
    return items
