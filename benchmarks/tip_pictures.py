"""The pictures of ``docs/results-tip.md``. Rule: one scale of heights for all panels that are compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import patheffects

from afmd.files.colours import colour_map

COLOURS = {
    "true": "0.15", "imaged": "#9a9a9a", "erosion": "#4477aa", "published-mae": "#ccbb44", "network": "#cc3311",
}  # fmt: skip
NAMES = {"published-mae": "encoder-decoder, MAE", "network": "afmd's network"}
STYLE = {
    "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150, "savefig.dpi": 150,
}  # fmt: skip
BODIES = ("domes", "cuboids", "misc")
SHOWN_SEED = 3


def draw_all(rows: Sequence[dict], methods: dict[str, Any], folder: Path) -> None:
    """Draw all four."""
    from tip_results import Case, frames

    def one(**what: Any) -> Any:
        return list(frames(Case(**what), SHOWN_SEED + 1))[SHOWN_SEED]

    with mpl.rc_context(STYLE):
        area_histograms(rows, folder / "tip-areas.png")
        roughness_histograms(rows, folder / "tip-roughness.png")
        shown = [
            ("domes", one(kind="domes")), ("cuboids; 0.3 nm noise", one(kind="cuboids", noise_nm=0.3)),
            ("misc; lines, edges, noise", one(kind="misc", noise_nm=0.3, faults=True)),
        ]  # fmt: skip
        profiles(shown, methods["network"], folder / "tip-profiles.png")
        contours(one(kind="fractal"), methods["network"], folder / "tip-contours.png")


def area_histograms(rows: Sequence[dict], file: Path) -> None:
    """Areas at half height of each kind: imaged, restored, true."""
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained", sharey="row")
    for column, kind in enumerate(BODIES):
        for line, condition in enumerate(("clean", "0.3 nm noise")):
            chosen = [r for r in rows if r["kind"] == kind and r["side"] == 512 and r["radius"] == 10.0
                      and r["condition"] == condition]  # fmt: skip
            _areas(axes[line, column], chosen, f"{kind}, {condition}")
    for axis in axes[-1]:
        axis.set_xlabel("area at half height, nm²")
    for axis in axes[:, 0]:
        axis.set_ylabel("particles")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    _close(figure, file)


def _areas(axis: Any, rows: Sequence[dict], title: str) -> None:
    by = {m: np.array([a for r in rows if r["method"] == m for a in r["half_px"]]) for m in COLOURS if m != "true"}
    true = np.array([a for r in rows if r["method"] == "imaged" for a in r["half_true_px"]])
    edges = np.linspace(0, np.percentile(by["imaged"], 99.5) * 1.05, 70)
    axis.hist(true, edges, color="0.85", label="true")
    axis.hist(true, edges, color=COLOURS["true"], histtype="step", lw=0.8)
    for method in ("imaged", "erosion", "network"):
        axis.hist(by[method], edges, color=COLOURS[method], histtype="step", lw=1.4, label=NAMES.get(method, method))
    axis.set_title(title, loc="left")


def roughness_histograms(rows: Sequence[dict], file: Path) -> None:
    """Ra of the fractal frames, as paper B's figure 3g."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained", sharey=True, sharex=True)
    for axis, condition in zip(axes, ("clean", "0.3 nm noise"), strict=True):
        chosen = [r for r in rows if r["kind"] == "fractal" and r["side"] == 512 and r["condition"] == condition]
        values = {m: np.array([r["ra"] for r in chosen if r["method"] == m]) for m in ("imaged", "erosion", "network")}
        true = np.array([r["ra_true"] for r in chosen if r["method"] == "imaged"])
        everything = np.concatenate([true, *values.values()])
        edges = np.arange(np.floor(20 * everything.min()) / 20 - 0.05, everything.max() + 0.1, 0.05)
        axis.hist(true, edges, color="0.85", label=f"true, {true.mean():.2f} nm")
        axis.hist(true, edges, color=COLOURS["true"], histtype="step", lw=0.8)
        for method, own in values.items():
            label = f"{NAMES.get(method, method)}, {own.mean():.2f} nm"
            axis.hist(own, edges, color=COLOURS[method], histtype="step", lw=1.4, label=label)
        axis.set(xlabel="Ra, nm")
        axis.set_title(f"fractal, 512 × 512, {condition}", loc="left")
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2)
    axes[0].set_ylabel("frames")
    _close(figure, file)


def profiles(shown: Sequence[tuple[str, Any]], restore: Any, file: Path) -> None:
    """Imaged, restored and true maps of three frames, and a line through one particle of each with its 90 % band."""
    figure = plt.figure(figsize=(11, 7.6), layout="constrained")
    grid = figure.add_gridspec(len(shown), 4, width_ratios=(1, 1, 1, 1.7))
    for line, (title, one) in enumerate(shown):
        surface, sigma = restore(one)
        row = _best_row(one.surface)
        top = float(one.surface.max())
        maps = []
        for column, (name, field) in enumerate((("imaged", one.image), ("restored", surface), ("true", one.surface))):
            axis = figure.add_subplot(grid[line, column])
            maps.append(axis)
            drawn = axis.imshow(field, cmap=colour_map("afm"), vmin=0, vmax=top, interpolation="nearest")
            axis.axhline(row, color="w", lw=0.7, ls=(0, (4, 3)))
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_title(name if line == 0 else "", loc="left")
            if column == 0:
                _scale_bar(axis, 25)
                axis.set_ylabel(title)
        figure.colorbar(drawn, ax=maps, shrink=0.8, pad=0.01, label="nm")
        profile = figure.add_subplot(grid[line, 3])
        _profile(profile, one, surface, sigma, row)
        if line == 0:
            profile.legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0), columnspacing=1.0, handlelength=1.4)
    _close(figure, file)


def _profile(axis: Any, one: Any, surface: Any, sigma: Any, row: int) -> None:
    at = np.arange(one.image.shape[1]) * one.pixel_nm[1]
    low, high = surface[row] - 1.645 * sigma[row], surface[row] + 1.645 * sigma[row]
    axis.fill_between(at, low, high, color=COLOURS["network"], alpha=0.2, lw=0, label="90 % interval", step="mid")
    axis.plot(at, one.image[row], color=COLOURS["imaged"], lw=1.2, label="imaged")
    axis.plot(at, one.surface[row], color=COLOURS["true"], lw=1.6, label="true", drawstyle="steps-mid")
    axis.plot(at, surface[row], color=COLOURS["network"], lw=1.2, label="restored", drawstyle="steps-mid")
    axis.set(xlabel="nm", ylabel="height, nm", xlim=(0, at[-1]), ylim=(-2, 1.25 * float(one.surface.max())))


def contours(one: Any, restore: Any, file: Path) -> None:
    """A fractal surface: maps, and contours of what was imaged and what was restored over the true ones."""
    surface, _ = restore(one)
    level = one.surface.mean()
    levels = level + np.array([-4.0, 0.0, 4.0])
    low, high = np.percentile(one.surface, (0.5, 99.5))
    figure, axes = plt.subplots(2, 3, figsize=(9.4, 6.4), layout="constrained")
    for axis, (name, field) in zip(
        axes[0], (("imaged", one.image), ("restored", surface), ("true", one.surface)), strict=True
    ):
        drawn = axis.imshow(field, cmap=colour_map("afm"), vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(name, loc="left")
    figure.colorbar(drawn, ax=axes[0], shrink=0.8, label="nm")
    for axis, (name, field) in zip(axes[1], (("imaged", one.image), ("restored", surface)), strict=False):
        axis.contour(one.surface, levels, colors=COLOURS["true"], linewidths=0.8)
        axis.contour(field, levels, colors=COLOURS["imaged" if name == "imaged" else "network"], linewidths=1.1)
        axis.set_title(f"contours: {name}; true in black", loc="left")
        axis.set(aspect="equal", xlim=(0, field.shape[1] - 1), ylim=(field.shape[0] - 1, 0))
    error = axes[1, 2].imshow(surface - one.surface, cmap="RdBu_r", vmin=-4, vmax=4, interpolation="nearest")
    axes[1, 2].set_title("restored less true", loc="left")
    figure.colorbar(error, ax=axes[1], shrink=0.8, label="nm")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    _scale_bar(axes[0, 0], 25)
    _close(figure, file)


def _best_row(surface: Any) -> int:
    """Return the line that crosses most of the particles' height."""
    inner = surface[28:-28, 16:-16].sum(axis=1)
    return int(np.argmax(inner)) + 28


def _scale_bar(axis: Any, length_px: int) -> None:
    rows, cols = axis.images[0].get_array().shape
    edge = [patheffects.withStroke(linewidth=1.6, foreground="k")]
    across, down = 0.06 * cols + length_px / 2, 0.94 * rows
    axis.plot([across - length_px / 2, across + length_px / 2], [down] * 2, color="k", lw=4, solid_capstyle="butt")
    axis.plot([across - length_px / 2, across + length_px / 2], [down] * 2, color="w", lw=2.5, solid_capstyle="butt")
    label = axis.text(across, down - 0.03 * rows, f"{length_px} nm", color="w", ha="center", va="bottom", size=8)
    label.set_path_effects(edge)


def _close(figure: Any, file: Path) -> None:
    figure.savefig(file)
    plt.close(figure)
