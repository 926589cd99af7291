"""The six panels of a restoration, as in paper A, with who says what and how much was touched.

Rule: nothing is prettified: the same colours mean the same heights in a picture and its surface, no masked pixel is
lost, and the colours' limits come from what is trusted, so that a lost line does not drown the surface.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd import __version__
from afmd.domain.findings import Label
from afmd.domain.result import Restoration, Roughness
from afmd.domain.scan import Scan
from afmd.files import colours, surface
from afmd.files.picture_parts import (
    INK,
    PALE,
    Box,
    Canvas,
    colour_bar,
    frame_line,
    length_text,
    limits,
    reduced,
    reduced_mask,
    round_length,
    scale_bar,
    show_heights,
    show_mask,
)

RAW_COLOUR, FINAL_COLOUR = "#f07f13", "#e0245e"
BADGES = {
    Label.GOOD: "#1b8a5a",
    Label.NOT_TRACKING: "#c2410c",
    Label.TIP_CONTAMINATION: "#9333ea",
    Label.IMAGING_ARTIFACT: "#b91c5c",
}

_WIDTH, _MARGIN, _HEADER, _FOOTER = 2000, 44, 150, 56
_CELL, _GAP, _SIDE = 608, 44, 512
_TITLE, _CAPTION = 46, 52
_LETTER = 17.0
_ENOUGH = Box(0, 0, 1024, 1024)
"""No panel shows more pixels than these; larger scans are averaged down first."""

_UPRIGHT, _EDGE = 30, 26


def drawn_panels(scan: Scan, restoration: Restoration) -> bytes:
    """Return the PNG; matplotlib's settings are the caller's affair."""
    original = reduced(scan.heights, _ENOUGH)
    trusted = ~reduced_mask(restoration.mask, _ENOUGH)
    trusted = trusted if trusted.mean() > 0.25 else np.ones_like(trusted)
    tilted = original - _plane(original, trusted)
    before = _heights(tilted, scan, bounds=limits(tilted[trusted]), roughness=restoration.quality.before)
    restored = reduced(restoration.restored, _ENOUGH)
    after = _heights(restored, scan, bounds=limits(restored), roughness=restoration.quality.after)
    sheet = _Sheet(top_side=min(max(_SIDE * before.ratio, 90.0), _SIDE))
    done = "Levelled only" if restoration.refusal or not restoration.touched.any() else "Restored"
    _header(sheet.canvas, scan, restoration)
    _height_panel(sheet, 0, "Original, mean plane removed", before)
    _mask_panel(sheet, 1, "Raw mask", before, restoration.raw_mask, RAW_COLOUR)
    _mask_panel(sheet, 2, "Final mask", before, restoration.mask, FINAL_COLOUR)
    _height_panel(sheet, 3, done, after)
    _surface_panel(sheet, 4, "Original, mean plane removed", before, colours_of="a")
    _surface_panel(sheet, 5, done, after, colours_of="d")
    _footer(sheet.canvas, scan, restoration)
    return sheet.canvas.png()


class _Sheet:
    """A canvas with two rows of three cells; the upper row is as high as the frame needs."""

    def __init__(self, *, top_side: float) -> None:
        self._tops = (_HEADER, _HEADER + _TITLE + top_side + _CAPTION)
        self.canvas = Canvas(_WIDTH, self._tops[1] + _TITLE + _SIDE + _CAPTION + _FOOTER)

    def cell(self, number: int, title: str) -> Box:
        """Write a panel's letter and title; return the room below them."""
        left, top = _MARGIN + number % 3 * (_CELL + _GAP), self._tops[number // 3]
        self.canvas.write("abcdef"[number], left, top + 10, size=22, fontweight="bold")
        self.canvas.write(title, left + 26, top + 12, size=19)
        return Box(left, top + _TITLE, _CELL, _SIDE)


@dataclass(frozen=True, slots=True, eq=False)
class _Heights:
    """Heights (rows, cols) in nm with what every panel of them needs; ``ratio`` is the frame's height / width."""

    values: NDArray[np.float32]
    width_nm: float
    ratio: float
    bounds: tuple[float, float]
    roughness: Roughness

    def box(self, cell: Box) -> Box:
        """Return where the frame lies in a cell, in its true proportions."""
        return Box(cell.left, cell.top, _SIDE, _SIDE).fitting(self.ratio)

    def grey(self) -> NDArray[np.float32]:
        """Return a pale background for masks."""
        share = (self.values - self.bounds[0]) / (self.bounds[1] - self.bounds[0])
        return np.asarray(0.30 + 0.65 * np.clip(share, 0, 1), dtype=np.float32)


def _heights(values: NDArray[np.float32], scan: Scan, *, bounds: tuple[float, float], roughness: Roughness) -> _Heights:
    rows, cols = scan.heights.shape
    width = cols * scan.pixel_nm[1]
    return _Heights(values, width, rows * scan.pixel_nm[0] / width, bounds, roughness)


def _height_panel(sheet: _Sheet, number: int, title: str, heights: _Heights) -> None:
    canvas, box = sheet.canvas, heights.box(sheet.cell(number, title))
    axes = canvas.axes(box)
    mapped = show_heights(axes, heights.values, box, bounds=heights.bounds, colour_map=colours.DEFAULT)
    frame_line(axes)
    scale_bar(axes, box, width_nm=heights.width_nm, size=_LETTER)
    bar = Box(box.left + box.width + 16, box.top, 20, max(box.height, 90.0))
    colour_bar(canvas, mapped, bar, unit="nm", size=_LETTER)
    told = f"Sa {heights.roughness.sa_nm:.3g} nm,  Sq {heights.roughness.sq_nm:.3g} nm"
    canvas.write(told, box.left, box.top + max(box.height, 90.0) + 10, size=_LETTER, color=PALE)


def _mask_panel(
    sheet: _Sheet, number: int, title: str, heights: _Heights, mask: NDArray[np.bool_], colour: str
) -> None:
    canvas, box = sheet.canvas, heights.box(sheet.cell(number, title))
    axes = canvas.axes(box)
    show_mask(axes, heights.grey(), mask, box, colour=colour)
    frame_line(axes)
    scale_bar(axes, box, width_nm=heights.width_nm, size=_LETTER)
    below = box.top + box.height + 10
    canvas.write("■", box.left, below, size=_LETTER, color=colour)
    canvas.write(f"{_percent(float(mask.mean()))} of the pixels", box.left + 22, below, size=_LETTER, color=PALE)


def _surface_panel(sheet: _Sheet, number: int, title: str, heights: _Heights, *, colours_of: str) -> None:
    canvas, cell = sheet.canvas, sheet.cell(number, title)
    rows, cols = heights.values.shape
    drawn = surface.draw(
        heights.values,
        pixel_nm=(heights.width_nm * heights.ratio / rows, heights.width_nm / cols),
        limits=heights.bounds,
        colours=colours.table(colours.DEFAULT),
        width_px=round(cell.width) - _UPRIGHT,
    )
    rows, cols = drawn.picture.shape[:2]
    zoom = min(1.0, (_SIDE - _EDGE) / rows)
    box = Box(cell.left + _UPRIGHT, cell.top + (_SIDE - _EDGE - zoom * rows) / 2, zoom * cols, zoom * rows)
    axes = canvas.axes(box)
    axes.imshow(drawn.picture, aspect="auto", interpolation="antialiased", extent=(0, cols, rows, 0))
    corners = drawn.corners * zoom + (box.left, box.top)
    _edge(canvas, corners[0], corners[1], length_text(heights.width_nm))
    _edge(canvas, corners[0], corners[3], length_text(heights.width_nm * heights.ratio))
    _upright(canvas, corners[3], drawn.upright_px_per_nm * zoom, span_nm=heights.bounds[1] - heights.bounds[0])
    told = f"heights × {drawn.exaggeration:.2g}, colours as in {colours_of}"
    canvas.write(told, cell.left, cell.top + _SIDE + 10, size=_LETTER, color=PALE)


def _edge(canvas: Canvas, start: NDArray[np.float64], end: NDArray[np.float64], text: str) -> None:
    """Write a length below one of the block's front edges, along it."""
    across, down = end - start
    angle = float(np.degrees(np.arctan(-down / across)))
    outward = np.array([down, -across]) / float(np.hypot(across, down)) * (1 if across < 0 else -1)
    col, row = (start + end) / 2 + outward * 0.95 * _LETTER
    canvas.write(text, col, row, size=_LETTER, ha="center", va="center", rotation=angle, rotation_mode="anchor")


def _upright(canvas: Canvas, foot: NDArray[np.float64], px_per_nm: float, *, span_nm: float) -> None:
    """Draw a bar of a round height beside the block's left corner."""
    from matplotlib.lines import Line2D

    height = round_length(span_nm * 0.8)
    col, top = foot[0] - 6, foot[1] - height * px_per_nm
    ends = [1 - foot[1] / canvas.height, 1 - top / canvas.height]
    canvas.figure.add_artist(Line2D([col / canvas.width] * 2, ends, color=INK, lw=2.5, solid_capstyle="butt"))
    canvas.write(length_text(height), col - 8, (foot[1] + top) / 2, size=_LETTER, ha="right", va="center", rotation=90)


def _header(canvas: Canvas, scan: Scan, restoration: Restoration) -> None:
    """Write who the scan is, what it is, and what became of it."""
    canvas.write(_cut(scan.name or "unnamed scan", 70), _MARGIN, 30, size=32, fontweight="bold")
    verdict = restoration.refusal or restoration.quality.verdict
    canvas.write(_cut(verdict, 150), _MARGIN, 76, size=20)
    canvas.write(_cut("   ·   ".join(_figures(scan, restoration)), 190), _MARGIN, 108, size=_LETTER, color=PALE)
    colour = PALE if restoration.abstained else BADGES[restoration.label]
    canvas.write(
        _badge(restoration), _WIDTH - _MARGIN - 12, 46, size=22, ha="right", va="center", color="white",
        fontweight="bold", bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": "none"},
    )  # fmt: skip


def _badge(restoration: Restoration) -> str:
    name = restoration.label.replace("_", " ")
    likely = f"{restoration.probabilities.get(restoration.label, 0.0):.0%}"
    return f"not sure: {name} {likely}" if restoration.abstained else f"{name} {likely}"


def _figures(scan: Scan, restoration: Restoration) -> Sequence[str]:
    """Return the figures that a person looks for first."""
    rows, cols = scan.heights.shape
    quality = restoration.quality
    whole = f" of {scan.rows_expected} lines" if scan.partial else ""
    return (
        f"{length_text(cols * scan.pixel_nm[1])} × {length_text(rows * scan.pixel_nm[0])}, {cols} × {rows} px{whole}",
        f"{scan.direction}, frame {scan.frame}",
        f"touched {_percent(quality.touched_share)}",
        f"confidence {quality.confidence:.2g}",
    )


def _footer(canvas: Canvas, scan: Scan, restoration: Restoration) -> None:
    told = [
        f"afmd {__version__}, preset {restoration.params.preset}",
        f"classifier {restoration.classifier}",
        f"segmenter {restoration.segmenter}",
        *(f"{name} {scan.meta[key]}" for name, key in (("NanoScope", "version"), ("", "date")) if key in scan.meta),
    ]
    line = "   ·   ".join(part.strip() for part in told)
    canvas.write(_cut(line, 210), _MARGIN, canvas.height - 34, size=14, color=PALE)


def _plane(heights: NDArray[np.float32], trusted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the least-squares plane through the trusted pixels."""
    down, across = (np.linspace(-1, 1, side) for side in heights.shape)
    row, col = np.nonzero(trusted)
    terms = np.stack([np.ones(len(row)), down[row], across[col]])
    mean, tilt_down, tilt_across = np.linalg.lstsq(terms @ terms.T, terms @ heights[trusted], rcond=None)[0]
    return np.asarray(mean + tilt_down * down[:, None] + tilt_across * across[None, :], dtype=np.float32)


def _percent(share: float) -> str:
    return "0 %" if share == 0 else f"{share * 100:.2g} %" if share < 0.1 else f"{share * 100:.3g} %"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
