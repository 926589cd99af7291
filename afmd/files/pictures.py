"""Pictures for people: one array, or the six panels of a restoration.

Rule: every picture of heights has a scale bar, a colour bar and a unit; one is drawn at a time, whoever asks.
"""

import threading

import numpy as np

from afmd.domain.ports import StoredArray
from afmd.domain.result import Restoration
from afmd.domain.scan import Scan
from afmd.errors import InvalidInput
from afmd.files import colours
from afmd.files.picture_panels import drawn_panels
from afmd.files.picture_parts import (
    Box,
    Canvas,
    colour_bar,
    frame_line,
    limits,
    scale_bar,
    show_heights,
    show_mask,
)

MIN_PX = 64
MASK_COLOUR = "#e0245e"

_DRAWING = threading.Lock()
"""Matplotlib's caches of fonts and glyphs are not made for several threads at once."""


class Pictures:
    """Draws stored arrays; the port ``Renderer``."""

    def image(self, array: StoredArray, *, longest_px: int, colour_map: str, title: str) -> bytes:
        """Return a PNG whose longer side has ``longest_px``, in the frame's true proportions.

        ``colour_map``: one of ``colours.NAMES``, empty for the default. Masks are drawn in one colour on grey.
        Raises ``InvalidInput``.
        """
        name = colour_map or colours.DEFAULT
        colours.table(name)
        if longest_px < MIN_PX:
            raise InvalidInput(
                "longest_px", why=f"{longest_px} is too small", mend=f"Ask for {MIN_PX} or more", field="longest_px"
            )
        with _DRAWING:
            return _drawn_image(array, longest_px, name, title)


def panels(scan: Scan, restoration: Restoration) -> bytes:
    """Return a PNG of six panels, as in paper A: original, raw and final mask, restored, and both as surfaces.

    The original is shown with its mean plane removed, for else nothing but the sample's tilt would be seen.
    """
    with _DRAWING:
        return drawn_panels(scan, restoration)


def _drawn_image(array: StoredArray, longest_px: int, colour_map: str, title: str) -> bytes:
    """Lay one picture out: the title above, the colour bar beside."""
    rows, cols = array.values.shape
    width_nm = cols * array.pixel_nm[1]
    ratio = min(max(rows * array.pixel_nm[0] / width_nm, 0.05), 20.0)
    size, is_mask = max(longest_px / 46, 5.0), array.unit == "1"
    edge, above, beside = 0.9 * size, 3.2 * size if title or not is_mask else 0.9 * size, 0.0 if is_mask else 7.4 * size
    width = max(min(longest_px - 2 * edge - beside, (longest_px - above - edge) / ratio), 1.0)
    canvas = Canvas(width + 2 * edge + beside, width * ratio + above + edge)
    box = Box(edge, above, width, width * ratio)
    axes = canvas.axes(box)
    if is_mask:
        show_mask(
            axes, np.full((rows, cols), 0.62, dtype=np.float32), array.values.astype(bool), box, colour=MASK_COLOUR
        )
    else:
        heights = np.asarray(array.values, dtype=np.float32)
        mapped = show_heights(axes, heights, box, bounds=limits(heights), colour_map=colour_map)
        bar = Box(box.left + box.width + 0.9 * size, box.top, 1.2 * size, box.height)
        colour_bar(canvas, mapped, bar, unit=array.unit, size=size)
    frame_line(axes)
    scale_bar(axes, box, width_nm=width_nm, size=size)
    longest = max(int(width / (0.66 * size)), 8)
    shown = title if len(title) <= longest else f"{title[: longest - 1]}…"
    canvas.write(shown, box.left, box.top - 0.9 * size, size=1.15 * size, va="bottom", fontweight="bold")
    return canvas.png()
