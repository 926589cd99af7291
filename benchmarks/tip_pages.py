"""The page ``docs/results-tip.md`` from the figures of ``tip_results.py``. Rule: it holds no figure of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

METHODS = ("imaged", "erosion", "certainty", "published-mse", "published-mae", "network")
SHOWN = {
    "certainty": "certainty gating",
    "published-mse": "encoder-decoder, MSE",
    "published-mae": "encoder-decoder, MAE",
    "network": "**afmd's network**",
}
BODIES = ("domes", "cuboids", "misc")
PAPER = "| paper B, as published | 8.15 | 6.41 | 14.85 | – | – | – |"

HEAD = """# Tip deconvolution: results

Made by one command, `OMP_NUM_THREADS=1 python benchmarks/tip_results.py --frames {frames}`, from weights
`{weights}`. Virtual data as in paper B (Bonagiri, Wang, Zhou and Zhang, *Precise Surface Profiling at the Nanoscale
Enabled by Deep Learning*): domes, cuboids, prisms and cylinders 16–20 nm wide and 14–22 nm high, and fractal surfaces
of 5 nm rms, under a cone of 22° with a spherical apex of 10 nm, at 1 nm pixels; {frames} frames of each kind and side,
on seeds that no training draws. The tip is known to every method unless said otherwise. The paper states neither
heights, angle, pitch nor fractal exponent; they are chosen so that what is *imaged* comes out as published.

The encoder-decoders are of paper B's kind (raw heights in nm, nothing normalised, this one tip), one network for all
kinds, taught for 1500 steps of 8 clean frames by the presets `tip-published-mse` and `tip-published-mae`; the paper's
own layer sizes stand in a supplement that was not at hand. afmd's network is one for all kinds, tips and pitches.

"""


def write(found: dict, file: Path) -> None:
    """Write the whole page."""
    rows = found["rows"]
    parts = [
        HEAD.format(frames=found["frames"], weights=found["weights"]),
        areas(rows), wide(rows), roughness(rows), spoilt(rows), radii(rows), sureness(rows), unknown(found["unknown"]),
        speed(found["speed"]),
    ]  # fmt: skip
    file.write_text("\n".join(parts), encoding="utf-8")


def areas(rows: Sequence[dict]) -> str:
    """The paper's first figure: areas of particles."""
    text = "## Areas of particles\n\nMean absolute error per particle in %, 128 × 128 frames.\n\n"
    for condition in ("clean", "0.3 nm noise"):
        text += f"### {condition}\n\n" + AREA_HEAD
        text += f"{PAPER}\n" if condition == "clean" else ""
        for method in _present(rows):
            chosen = _pick(rows, side=128, radius=10.0, condition=condition, method=method)
            text += f"| {_name(method)} | {_areas(chosen)} |\n"
        text += "\n"
    return text + "![Histograms of the particles' areas](tip-areas.png)\n\n![Profiles](tip-profiles.png)\n"


AREA_HEAD = """| | half height: domes | cuboids | misc | 10 % height: domes | cuboids | misc |
|---|---:|---:|---:|---:|---:|---:|
"""


def wide(rows: Sequence[dict]) -> str:
    """The same on large frames."""
    text = "## Large frames\n\n512 × 512, areas as above.\n\n" + AREA_HEAD
    for condition in ("clean", "0.3 nm noise"):
        for method in ("imaged", "erosion", "network"):
            chosen = _pick(rows, side=512, radius=10.0, condition=condition, method=method)
            text += f"| {_name(method)}, {condition} | {_areas(chosen)} |\n"
    return text


def roughness(rows: Sequence[dict]) -> str:
    """The paper's second figure: fractal surfaces."""
    text = (
        "## Fractal surfaces\n\nRa in nm over the frames (± standard deviation), the mean over frames of its absolute "
        "error, the mean distance of contours at -4, 0 and 4 nm, and the mean absolute error of heights. Paper B: "
        "imaged 3.75 ± 0.17, restored 3.90 ± 0.12, true 4.01 ± 0.10; contours within 2–3 nm. *With what is unknown* "
        "adds the network's own variance to the surface's: the most likely surface is smoother than the true one.\n\n"
        "| | side | Ra | Ra error | contour error | height error |\n|---|---:|---:|---:|---:|---:|\n"
    )
    for condition in ("clean", "0.3 nm noise"):
        for side in (128, 512):
            chosen = _pick(rows, kind="fractal", side=side, radius=10.0, condition=condition)
            if chosen:
                true = [row["ra_true"] for row in chosen if row["method"] == "imaged"]
                text += f"| *true* | {side} | {np.mean(true):.2f} ± {np.std(true):.2f} | | | |\n"
            for method in _present(chosen):
                text += _rough_row(f"{_name(method)}, {condition}", side, _pick(chosen, method=method), "ra")
            text += _rough_row(
                f"with what is unknown, {condition}", side, _pick(chosen, method="network"), "ra_with_spread"
            )
    return text + "\n![Histograms of roughness](tip-roughness.png)\n\n![Contours](tip-contours.png)\n"


def _rough_row(name: str, side: int, rows: Sequence[dict], key: str) -> str:
    if not rows:
        return ""
    values = np.array([row[key] for row in rows])
    error = np.abs(values - [row["ra_true"] for row in rows]).mean()
    return (
        f"| {name} | {side} | {values.mean():.2f} ± {values.std():.2f} | {error:.3f} | "
        f"{_mean(rows, 'contour_nm'):.2f} | {_mean(rows, 'height_nm'):.2f} |\n"
    )


def spoilt(rows: Sequence[dict]) -> str:
    """With line artefacts and edge elevation."""
    text = (
        "## With line artefacts and edge elevation\n\n2–12 % of the lines shifted, whole or in part, by 0.3–1.5 nm "
        "(rms); edges raised by 0.3–2.5 nm, all round or where the tip climbs. 128 × 128. What noise adds here is the "
        "doubt by how much edges were raised: told that, the network does as well as without such faults "
        "([model card](models/tip.md)).\n\n" + AREA_HEAD
    )
    for condition in ("lines and edges", "lines and edges + 0.3 nm noise"):
        for method in _present(rows):
            chosen = _pick(rows, condition=condition, method=method)
            text += f"| {_name(method)}, {condition} | {_areas(chosen)} |\n"
    return text


def radii(rows: Sequence[dict]) -> str:
    """Other known tips."""
    text = (
        "## Other tips, known\n\n128 × 128. The erosion is all that geometry holds: a tip as wide as the gaps between "
        "bodies leaves less of their feet in the image.\n\n" + AREA_HEAD
    )
    for method in ("erosion", "network"):
        for radius in (5.0, 10.0, 16.0):
            for condition in ("clean", "0.3 nm noise"):
                chosen = _pick(rows, side=128, radius=radius, condition=condition, method=method)
                text += f"| {_name(method)}, {radius:g} nm, {condition} | {_areas(chosen)} |\n"
    return text


def sureness(rows: Sequence[dict]) -> str:
    """Does the stated uncertainty hold?"""
    text = (
        "## How sure it is\n\nThe share of pixels whose true height lies within the 90 % interval, and the mean "
        "standard deviation where the tip touched and where it did not, in nm.\n\n"
        "| | covered | touched | not touched |\n|---|---:|---:|---:|\n"
    )
    for kind in (*BODIES, "fractal"):
        for condition in ("clean", "0.3 nm noise", "lines and edges", "lines and edges + 0.3 nm noise"):
            chosen = _pick(rows, kind=kind, side=128, radius=10.0, condition=condition, method="network")
            if chosen:
                text += (
                    f"| {kind}, {condition} | {100 * _mean(chosen, 'coverage'):.1f} % | "
                    f"{_mean(chosen, 'sigma_touched'):.3f} | {_mean(chosen, 'sigma_untouched'):.3f} |\n"
                )
    return text


def unknown(rows: Sequence[dict]) -> str:
    """The tip estimated from the image."""
    if not rows:
        return ""
    text = (
        "## The tip unknown\n\nEstimated blindly from the same frame, then the network. 128 × 128.\n\n"
        "| | radius error, % | area error at half height, % | refused |\n|---|---:|---:|---:|\n"
    )
    for kind in BODIES:
        for condition in ("clean", "0.3 nm noise"):
            chosen = _pick(rows, kind=kind, condition=condition)
            done = [row for row in chosen if "half" in row]
            radius = f"{np.mean([row['radius_error'] for row in done]):.1f}" if done else "–"
            area = f"{_flat(done, 'half').mean():.1f}" if done else "–"
            text += f"| {kind}, {condition} | {radius} | {area} | {len(chosen) - len(done)} of {len(chosen)} |\n"
    return text


def speed(found: dict[str, float]) -> str:
    """How long it takes."""
    lines = "\n".join(f"| {name} | {value:.0f} ms |" for name, value in found.items())
    return f"## Speed\n\nProcessor time of a 512 × 512 frame, the least of five runs.\n\n| | |\n|---|---:|\n{lines}\n"


def _areas(rows: Sequence[dict]) -> str:
    cells = []
    for key in ("half", "tenth"):
        for kind in BODIES:
            values = _flat(_pick(rows, kind=kind), key)
            cells.append(f"{values.mean():.2f}" if values.size and values.mean() < 100 else _large(values))
    return " | ".join(cells)


def _large(values: np.ndarray) -> str:
    return f"{values.mean():.0f}" if values.size else "–"


def _flat(rows: Sequence[dict], key: str) -> np.ndarray:
    return np.array([value for row in rows for value in row[key]])


def _mean(rows: Sequence[dict], key: str) -> float:
    return float(np.nanmean([row[key] for row in rows]))


def _pick(rows: Sequence[dict], **wanted: object) -> list[dict]:
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def _present(rows: Sequence[dict]) -> list[str]:
    have = {row["method"] for row in rows}
    return [method for method in METHODS if method in have]


def _name(method: str) -> str:
    return SHOWN.get(method, method)
