"""The page that ``results.py`` writes. Rule: a figure is a mean with its standard error unless its column says so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from results_filling import CLASSES
from results_scans import FAULTS, FIRST_SEED, SURFACES

if TYPE_CHECKING:
    from results import Found

Table = Mapping[str, Mapping[str, list[float]]]
OURS = ("best", "published")
PAPER_LEVELLING = (
    "global poly2 348.6 / 135.7 / 12.0; rows 267.5 / 108.6 / 13.0; columns 134.4 / 63.3 / 9.3; "
    "theirs 170.1 / 49.5 / 13.8"
)
PAPER_FILLING = "bilinear 0.915 / 96.2; kriging 0.928 / 96.7; Telea 0.633 / 97.1; theirs 0.701 / 86.6"


def page(found: "Found", pictures: str) -> str:
    """Return the whole page in Markdown."""
    parts = [
        _head(found), _goals(found), _levelling(found), _filling(found), _coverage(found), _ripple(found),
        _chain(found), _clean(found), _real(found, pictures), _simulated(pictures),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(found: "Found") -> str:
    absent = "".join(f" Not here: {one}." for one in found.absent)
    kinds = sum(fault is not None for fault in FAULTS)
    peers = " --peers PYTHON" if any(name.startswith("TopoStats") for name in found.levelling) else ""
    return f"""# Results

Made by `python benchmarks/results.py --scans {found.scans}{peers}`, in {found.wall_s / 60:.0f} minutes.{absent}

{found.scans} simulated scans of 256 × 256 pixels: {len(SURFACES)} kinds of surface ({", ".join(SURFACES)}),
each with {kinds} kinds of artefact in turn and good scans between, over the whole ranges of the virtual microscope.
Nothing was tuned on them, and these seeds (from {FIRST_SEED:,}) were looked at for this page alone; the sets that it
stood on before, from 20,000,000, 41,000,000, 45,000,000, 47,000,000, 48,000,000, 54,000,000,
57,000,000, 58,000,000, 59,000,000, 60,000,000, 61,000,000, 62,000,000, 63,000,000, 64,000,000,
65,000,000, 66,000,000, 67,000,000, 68,000,000 and 69,000,000, are not used again.
Classes and masks by {found.backends}.
Truth is the surface as a good tip images it.
`published` follows Zhang et al. (paper A) step by step; `best` is the default. Figures are means ± standard error
unless a median is named."""


def _goals(found: "Found") -> str:
    best = found.levelling["best"]
    poly = np.array(found.levelling["polynomial, order 2"]["sigma_bg"])
    less, most = (100 * (np.nanmedian(np.array(best[key]) / poly) - 1) for key in ("sigma_bg", "sigma_truth"))
    ripple = [_ripple_ratio(found.ripple[degrees]) for degrees in found.ripple]
    fill, chain = found.filling["best"], found.chain["best"]
    covered = [_share(found.covered[name]) for name in CLASSES if found.covered[name]]
    level = f"{_mean(best['nm'])}; {_median(best['pct'])}"
    filled = f"{_mean(fill['error'])}; {_mean(fill['ssim_mask'], 3)}"
    rows = [
        ("levelling, own masks: mean nm; median % of relief", level, "≤ 5.5; 3.3"),
        ("σ_bg against polynomial of order 2, median (the truth's own)", f"{less:.0f} % ({most:.0f} %)", "−60 %"),
        ("power of the truth's slopes after levelling, median change", f"{_median(best['slope'])} %", "within 5 %"),
        ("ripple, 0° and 90°: distance over the best peer's", "; ".join(f"{one:.2f}" for one in ripple), "≤ 0.50"),
        ("filling, true masks: error in mask %; in-mask SSIM", filled, "≤ 4.8; ≥ 0.80"),
        ("90 % interval covers, by hole class", "; ".join(f"{one:.0f} %" for one in covered), "85–95 %"),
        ("raw to restored, % of relief: median; mean", f"{_median(chain)}; {_mean(chain)}", "≤ 5.0; 7.5"),
        ("good scans: change that no scanner makes, % of relief", _mean(found.clean["best"], 3), "< 0.1"),
    ]
    return "## Goals\n\n" + _table(("figure", "reached", "goal"), rows)


def _levelling(found: "Found") -> str:
    columns = (
        "method",
        "RMSE nm",
        "RMSE %, median",
        "without planes %, median",
        "σ_bg nm",
        "RMSE_line nm",
        "mean ∣∇h∣ nm/px",
        "tilt removed %",
        "slope power %, median",
    )
    rows = []
    for name, own in _ordered(found.levelling, lambda own: float(np.nanmedian(own["pct"]))):
        figures = [
            _mean(own["nm"]),
            _median(own["pct"]),
            _median(own["no_plane"]),
            *(_mean(own[key]) for key in ("sigma_bg", "rmse_line")),
        ]
        rows.append((name, *figures, _mean(own["gradient"], 2), _mean(own["tilt"], 0), _median(own["slope"])))
    return f"""## Levelling (paper A, Table 3 in kind)

RMSE: distance to the truth outside the true artefacts, in nm and in % of the relief. Every method is told the same
masks, the segmenter's own, where it knows masks at all. Without planes: the same once truth and result have each lost
their least-squares plane over those pixels; where a sample lies on a slope of its own (a rough film, half a cell),
nobody can tell its slope from the scanner's. The truth's own σ_bg is what perfect levelling would come to: who gets
below it has flattened the sample. The other figures are paper A's (section 3.2.3), on substrate
outside the artefacts. Slope power: by how much the power of the true surface's slopes (waves up to half the frame) is
changed by what levelling did wrong: below zero it blurs, above it leaves or makes steps.

{_table(columns, rows)}

Paper A reports on its own scans (σ_bg / RMSE_line / ∣∇h∣): {PAPER_LEVELLING}; tilt removal 85 %.
Its figures have other samples under them; what compares is the order of the methods."""


def _filling(found: "Found") -> str:
    columns = ("method", "SSIM", "SSIM in the mask", "σ_bg nm", "error in the mask, % of relief", "median")
    rows = []
    for name, own in _ordered(found.filling, lambda own: float(np.mean(own["error"]))):
        error = own["error"]
        rows.append(
            (name, *(_mean(own[key], 3) for key in ("ssim", "ssim_mask")), _mean(own["sigma_bg"]), _mean(error, 2),
             _median(error, 2))
        )  # fmt: skip
    return f"""## Filling (paper A, Table 4 in kind)

{len(found.filling["best"]["error"])} of the scans, those whose artefacts cover at most 30 %; true mask, true background
taken off, judged against the same scan without the artefact. `best` is given the heights under the mask too, and uses
them where they still tell something.

{_table(columns, rows)}

Paper A reports (SSIM / σ_bg): {PAPER_FILLING}. σ_bg can be won by blurring; the error cannot."""


def _coverage(found: "Found") -> str:
    rows = [
        (name, _covered(found.covered[name]), str(sum(whole > 0 for _, whole in found.covered[name])))
        for name in CLASSES
        if found.covered[name]
    ]
    return "## How sure a filled pixel is\n\n" + _table(
        ("holes, widest place", "90 % interval covers %", "scans"), rows
    )


def _ripple(found: "Found") -> str:
    names = list(found.ripple[0])
    rows = [
        (name, *(_mean(found.ripple[degrees][name], 2) for degrees in found.ripple))
        for name in sorted(names, key=lambda name: sum(np.mean(found.ripple[d][name]) for d in found.ripple))
    ]
    count = len(found.ripple[0]["best"])
    return f"""## Ripple test (paper A, section 3.2.4)

z + α∣z∣ sin(2πf (i sin θ + j cos θ) + φ), α 0.40, f 0.01 per pixel, on {count} clean scans of DNA on flat mica,
512 × 512; z counts from the lowest pixel. Distance to the truth in % of the relief.

{_table(("method", "θ = 0°", "θ = 90°"), rows)}"""


def _chain(found: "Found") -> str:
    columns = ("", "median", "mean")
    rows = [(name, _median(own, 2), _mean(own, 2)) for name, own in found.chain.items()]
    by = []
    for name, pairs in (*found.by_surface.items(), *sorted(found.by_fault.items())):
        theirs, ours = zip(*pairs, strict=True)
        by.append((name.replace("_", " "), _mean(theirs), _mean(ours), _median(ours)))
    return f"""## Raw to restored

Whole frame, own classes and masks, distance to the truth in % of the relief.

{_table(columns, rows)}

{_table(("surface, or artefact", "published", "best", "best, median"), by)}"""


def _clean(found: "Found") -> str:
    rows = [(name, _mean(own, 3), _median(own, 3), f"{max(own):.3f}") for name, own in found.clean.items()]
    return f"""## Good scans

{len(found.clean["best"])} scans without an artefact through the whole chain: rms of the change that no scanner makes
(not smooth along the lines, not constant on one; of leans that an instrument's own levelling gave the lines, as much as
was taken off is none either), % of relief.

{_table(("preset", "mean", "median", "worst"), rows)}"""


def _real(found: "Found", pictures: str) -> str:
    if not found.real:
        return ""
    rows = [
        (name, *(_pair(told[preset]) for preset in ("published", "best"))) for name, told in sorted(found.real.items())
    ]
    return f"""## Real scans

How far trace and retrace lie apart before and after, nm, where both were recorded.

{_table(("scan", "published", "best"), rows)}

![Real scans before, and after both presets]({pictures}-real.png)"""


def _simulated(pictures: str) -> str:
    return f"## Simulated scans\n\n![Simulated scans: raw, restored, truth and what is left]({pictures}-simulated.png)"


def _ordered(
    table: Table, key: Callable[[Mapping[str, list[float]]], float]
) -> list[tuple[str, Mapping[str, list[float]]]]:
    """Ours first, then the others, nearest the truth first."""
    names = [name for name in OURS if name in table]
    names += sorted((name for name in table if name not in OURS), key=lambda name: key(table[name]))
    return [(name, table[name]) for name in names]


def _ripple_ratio(table: Mapping[str, list[float]]) -> float:
    return float(np.mean(table["best"]) / min(np.mean(own) for name, own in table.items() if name not in OURS))


def _mean(values: Sequence[float], digits: int = 1) -> str:
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not known.size:
        return "–"
    return f"{known.mean():.{digits}f} ± {known.std() / max(known.size - 1, 1) ** 0.5:.{digits}f}"


def _median(values: Sequence[float], digits: int = 1) -> str:
    return f"{np.nanmedian(values):.{digits}f}"


def _share(pairs: Iterable[tuple[int, int]]) -> float:
    return float(100 * np.mean([within / whole for within, whole in pairs if whole]))


def _covered(pairs: Iterable[tuple[int, int]]) -> str:
    return _mean([100 * within / whole for within, whole in pairs if whole])


def _pair(told: tuple[float | None, float | None]) -> str:
    return " → ".join("–" if one is None else f"{one:.2f}" for one in told)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
