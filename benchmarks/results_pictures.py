"""Pictures for ``results.py``. Rule: one colour scale a row, its limits from the cleanest plane, nothing but scans."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

import afmd
from afmd.files.colours import DEFAULT, colour_map
from afmd.twin.gallery import plane_levelled

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image
from results_scans import Case, cases

REAL = ("5.011", "di-6.di", "full_multiple_images.txt", "di-4.di", "old_bruker.002")
SIMULATED = (6, 9, 14, 19, 31)
SIZE_IN, DPI = 2.4, 100
COLOURS = 256
SPOILT = (0.16, 0.55, 0.75, 0.75)
"""Red, green, blue and strength of the mask."""
INK = "#40362c"
SHOWN = (0.5, 99.5)
"""Percentiles that darkest and lightest colour stand for."""


def draw_real(out: Path, folder: Path) -> None:
    """Real scans: as captured less their plane, what is found spoilt, and after both presets."""
    rows = []
    for name in REAL:
        scan = afmd.read(folder / name)
        done = afmd.restore(scan)
        by_paper = afmd.restore(scan, afmd.Params("published"))
        rows.append((name, [plane_levelled(scan.heights), by_paper.restored, done.restored], done.mask, done.restored))
    _draw(out, ("as captured, less its plane", "published", "best"), rows)


def draw_simulated(out: Path, first_seed: int) -> None:
    """Simulated scans, of other seeds than the tables': raw less its plane, restored, and the truth."""
    chosen: dict[int, Case] = {case.number: case for case in cases(max(SIMULATED) + 1, first_seed=first_seed)
                               if case.number in SIMULATED}  # fmt: skip
    rows = []
    for case in chosen.values():
        raw = case.one.scan.heights
        by_paper, done = (afmd.restore(case.one.scan, afmd.Params(name)) for name in ("published", "best"))
        shown = [plane_levelled(raw), by_paper.restored, done.restored, case.one.imaged]
        rows.append((f"{case.surface}, {case.fault or 'good'}".replace("_", " "), shown, done.mask, case.one.imaged))
    _draw(out, ("raw, less its plane", "published", "best", "truth"), rows)


def _draw(
    out: Path, titles: Sequence[str], rows: Sequence[tuple[str, list[np.ndarray], np.ndarray, np.ndarray]]
) -> None:
    """Each row: its name, the planes to show, the mask to lay over the first, and the plane that sets the scale."""
    wide = len(titles)
    figure, axes = plt.subplots(len(rows), wide, figsize=(SIZE_IN * wide, SIZE_IN * 1.02 * len(rows)), squeeze=False)
    for line, (name, planes, mask, scale) in zip(axes, rows, strict=True):
        low, high = np.percentile(scale, SHOWN)
        middle = np.median(scale)
        for axis, plane in zip(line, planes, strict=True):
            shown = plane - np.median(plane) + middle
            axis.imshow(shown, vmin=low, vmax=max(high, low + 1e-9), cmap=colour_map(DEFAULT), aspect="auto")
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set_visible(False)
        line[0].set_ylabel(name, fontsize=9, color=INK)
        line[0].imshow(np.where(mask[..., None], SPOILT, 0.0), aspect="auto", interpolation="nearest")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10, color=INK)
    figure.subplots_adjust(0.04, 0.005, 0.995, 0.955, 0.03, 0.03)
    figure.savefig(out, dpi=DPI)
    plt.close(figure)
    Image.open(out).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
