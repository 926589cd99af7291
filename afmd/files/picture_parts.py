"""What pictures are made of: a canvas measured in pixels, heights, masks, scale bars and colour bars.

Rule: matplotlib is imported when the first picture is drawn, and only its object interface is used.
"""

import io
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd import __version__
from afmd.files import colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ft2font import FT2Font
    from matplotlib.image import AxesImage

LIMITS_PERCENT = (0.3, 99.7)
"""Heights beyond these percentiles take the end colours, so that a spike does not flatten the picture."""

INK, PALE, PAPER = "#1f2430", "#667085", "#ffffff"
FONT = "DejaVu Sans"
"""Comes with matplotlib, so that pictures look alike everywhere."""

_DPI = 72
"""One point is one pixel, so that sizes of letters and lines are in pixels too."""

_SAMPLE = 1 << 18


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas in pixels; ``top`` counts from the canvas's top."""

    left: float
    top: float
    width: float
    height: float

    def fitting(self, ratio: float) -> "Box":
        """Return the largest box of height / width ``ratio`` in this one, centred across, at the top."""
        width = min(self.width, self.height / ratio)
        return Box(self.left + (self.width - width) / 2, self.top, width, width * ratio)


class Canvas:
    """A figure of so many pixels."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width = max(round(width), 1)
        self.height = max(round(height), 1)
        self.figure: Figure = Figure(figsize=(self.width / _DPI, self.height / _DPI), dpi=_DPI, facecolor=PAPER)

    def axes(self, box: Box) -> "Axes":
        """Return bare axes that fill the box."""
        left, bottom = box.left / self.width, 1 - (box.top + box.height) / self.height
        axes = self.figure.add_axes((left, bottom, box.width / self.width, box.height / self.height))
        axes.set_axis_off()
        return axes

    def write(self, text: str, left: float, top: float, *, size: float, **style: object) -> None:
        """Write text whose top left corner is at (left, top), or as ``style`` says."""
        placed: dict[str, Any] = {"ha": "left", "va": "top", "color": INK, **style}
        self.figure.text(
            left / self.width, 1 - top / self.height, _drawable(text), fontsize=size, fontfamily=FONT,
            parse_math=False, **placed,
        )  # fmt: skip

    def png(self) -> bytes:
        """Return the drawing as a PNG file."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        file = io.BytesIO()
        FigureCanvasAgg(self.figure)
        self.figure.savefig(
            file, format="png", dpi=_DPI, metadata={"Software": f"afmd {__version__}"}, pil_kwargs={"compress_level": 3}
        )
        return file.getvalue()


@cache
def _font() -> "FT2Font":
    from matplotlib.font_manager import findfont, get_font

    return get_font(findfont(FONT))


def _drawable(text: str) -> str:
    """Return text with a box for each letter that the font lacks, as of a scan named in Chinese."""
    return "".join(c if c == " " or _font().get_char_index(ord(c)) else "□" for c in text)


def limits(heights: NDArray[np.float32]) -> tuple[float, float]:
    """Return robust colour limits; never empty. Large arrays are sampled."""
    sample = heights.reshape(-1)[:: max(1, heights.size // _SAMPLE)]
    low, high = (float(v) for v in np.percentile(sample, LIMITS_PERCENT))
    if high - low > 1e-6 * max(abs(low), abs(high), 1e-6):
        return low, high
    low, high = float(sample.min()), float(sample.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def reduced(values: NDArray[np.generic], box: Box) -> NDArray[np.float32]:
    """Return float32 values averaged down to no more pixels than the box has; never enlarged."""
    rows, cols = values.shape
    wanted = max(1, min(rows, round(box.height))), max(1, min(cols, round(box.width)))
    plain = np.asarray(values, dtype=np.float32)
    if wanted == (rows, cols):
        return plain
    return np.asarray(cv2.resize(plain, wanted[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)


def reduced_mask(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Return a mask of no more pixels than the box has; True where any pixel below is: no scar is lost."""
    return reduced(mask, box) > 0


def show_heights(
    axes: "Axes", heights: NDArray[np.float32], box: Box, *, bounds: tuple[float, float], colour_map: str
) -> "AxesImage":
    """Draw heights into axes that fill the box; return what a colour bar needs."""
    return axes.imshow(
        reduced(heights, box), cmap=colours.colour_map(colour_map), vmin=bounds[0], vmax=bounds[1], aspect="auto",
        interpolation="nearest", extent=(0, 1, 0, 1),
    )  # fmt: skip


def show_mask(axes: "Axes", grey: NDArray[np.float32], mask: NDArray[np.bool_], box: Box, *, colour: str) -> None:
    """Draw a background of greys in [0, 1] and the masked pixels over it in a clear colour."""
    rgb = np.repeat(reduced(grey, box)[..., None], 3, axis=2)
    spoilt = reduced_mask(mask, box)
    rgb[spoilt] = 0.12 * rgb[spoilt] + 0.88 * rgb_of(colour)
    axes.imshow(rgb, aspect="auto", interpolation="nearest", extent=(0, 1, 0, 1))


def rgb_of(colour: str) -> NDArray[np.float32]:
    """Return ``#rrggbb`` as three numbers in [0, 1]."""
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def frame_line(axes: "Axes") -> None:
    """Draw a thin line around the axes."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, ec=INK, lw=1.0, clip_on=False))


def scale_bar(axes: "Axes", box: Box, *, width_nm: float, size: float) -> None:
    """Draw a bar of a round length with its label into the lower left corner, on a plate that makes it readable."""
    from matplotlib.patches import Rectangle

    length = round_length(width_nm * 0.3)
    bar, thick, pad = length / width_nm * box.width, max(size * 0.24, 2.0), size * 0.45
    text = length_text(length)
    plate = max(bar, 0.68 * size * len(text)) + 2 * pad, 2.05 * size + thick
    axes.set(xlim=(0, 1), ylim=(0, 1))

    def share(col: float, up: float) -> tuple[float, float]:
        return col / box.width, up / box.height

    corner, middle = share(pad, pad), pad + plate[0] / 2
    axes.add_patch(Rectangle(corner, *share(*plate), transform=axes.transAxes, fc="black", alpha=0.45, lw=0))
    start = share(middle - bar / 2, 1.95 * pad)
    axes.add_patch(Rectangle(start, *share(bar, thick), transform=axes.transAxes, fc="white", lw=0))
    axes.text(
        *share(middle, 2.3 * pad + thick), text, transform=axes.transAxes, color="white", fontsize=size,
        fontfamily=FONT, ha="center", va="bottom", fontweight="bold",
    )  # fmt: skip


def colour_bar(canvas: Canvas, mapped: "AxesImage", box: Box, *, unit: str, size: float) -> None:
    """Draw a colour bar into the box, its pointed ends saying that heights go on beyond it."""
    from matplotlib.ticker import MaxNLocator

    axes = canvas.axes(box)
    axes.set_axis_on()
    bar = canvas.figure.colorbar(mapped, cax=axes, extend="both", extendfrac=0.03)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=max(2, min(6, int(box.height / (size * 3))))))
    bar.ax.tick_params(labelsize=size, length=size * 0.3, width=1, pad=size * 0.25, colors=INK, labelfontfamily=FONT)
    bar.ax.yaxis.get_offset_text().set(fontsize=size, color=INK)
    canvas.write(unit, box.left, box.top - size * 0.45, size=size, va="bottom")


def round_length(nm: float) -> float:
    """Return the largest of 1, 2, 5 × 10^n that is not above ``nm``."""
    power = 10.0 ** math.floor(math.log10(nm))
    return max(step * power for step in (1, 2, 5) if step * power <= nm * (1 + 1e-9))


def length_text(nm: float) -> str:
    """Return a length in the unit that people would choose."""
    for unit, size in (("mm", 1e6), ("µm", 1e3), ("nm", 1.0)):
        if nm >= size:
            return f"{nm / size:.4g} {unit}"
    return f"{nm * 1e3:.4g} pm"
