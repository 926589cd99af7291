"""Tip deconvolution as paper B judges it, every method on the same frames; writes ``docs/results-tip.md``.

    OMP_NUM_THREADS=1 python benchmarks/tip_results.py [--frames 20] [--json FILE]

Virtual data of `afmd.twin.pairs` with seeds that no training draws; the tip is told to every method. Areas: mean over
particles of the absolute error, at half and at a tenth of each particle's own height. The published networks are read
from ``runs/`` where ``python -m afmd.training train tip --preset tip-published-mse`` and ``-mae`` left them.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
import tip_pages
import tip_pictures

from afmd.domain.tip import Tip
from afmd.errors import AfmdError
from afmd.inference import load_manifest
from afmd.inference.deconvolution import network_deconvolver
from afmd.science.tip import erode, kernel
from afmd.science.tip.planes import RECIPE, tip_view
from afmd.training import tipscores
from afmd.training.config import EVALUATION_FROM
from afmd.twin.pairs import Pair, pair, paper_b

Heights = np.ndarray
Method = Callable[[Pair], tuple[Heights, Heights | None]]
DOCS = Path(__file__).resolve().parents[1] / "docs"
RUNS = Path("runs")
BODIES = ("domes", "cuboids", "misc")
LEVELS_NM = (-4.0, 0.0, 4.0)
TOUCHED_NM = 0.02


@dataclass(frozen=True)
class Case:
    """Frames of one kind under one condition."""

    kind: str
    side: int = 128
    radius_nm: float = 10.0
    noise_nm: float = 0.0
    faults: bool = False

    @property
    def condition(self) -> str:
        spoilt = ["lines and edges"] if self.faults else []
        return " + ".join([*spoilt, *([f"{self.noise_nm:g} nm noise"] if self.noise_nm else [])]) or "clean"


def main() -> None:
    """Evaluate, write tables and pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=DOCS)
    asked = parser.parse_args()
    methods = all_methods(asked.weights)
    rows = [row for case in cases() for row in judged(case, methods, asked.frames)]
    found = {
        "rows": rows,
        "unknown": unknown_tip(methods, asked.frames),
        "speed": speed(methods),
        "frames": asked.frames,
    }
    model = load_manifest(asked.weights).model("tip")
    found["weights"] = f"{model.file.name} {model.sha256[:12]}…"
    if asked.json:
        asked.json.write_text(json.dumps(found))
    asked.out.mkdir(parents=True, exist_ok=True)
    tip_pages.write(found, asked.out / "results-tip.md")
    tip_pictures.draw_all(rows, methods, asked.out)


def cases() -> Iterator[Case]:
    """Yield what is judged."""
    for kind in (*BODIES, "fractal"):
        for side in (128, 512):
            for noise in (0.0, 0.3):
                yield Case(kind, side, noise_nm=noise)
        for noise in (0.0, 0.3):
            yield Case(kind, faults=True, noise_nm=noise)
        for radius in (5.0, 16.0):
            for noise in (0.0, 0.3):
                yield Case(kind, radius_nm=radius, noise_nm=noise)


def frames(case: Case, count: int) -> Iterator[Pair]:
    """Yield the evaluation frames of a case: surfaces follow from kind, side and number alone."""
    recipe = paper_b(
        case.kind, side=case.side, tip=Tip(case.radius_nm, 22.0), noise_nm=case.noise_nm, faults=case.faults
    )
    for number in range(count):
        yield pair(EVALUATION_FROM + 1000 * (*BODIES, "fractal").index(case.kind) + number, recipe=recipe)


def judged(case: Case, methods: dict[str, Method], count: int) -> Iterator[dict]:
    """Yield one row for each frame and method."""
    shown = {"imaged", "erosion", "network"} if case.side > 128 else set(methods)
    for one in frames(case, count):
        truth = {"kind": case.kind, "side": case.side, "radius": case.radius_nm, "condition": case.condition}
        bodies = None if one.kind == "fractal" else tipscores.particles(one.surface, margin_px=20)
        for name in sorted(shown):
            surface, sigma = methods[name](one)
            yield truth | {"method": name, "seed": one.seed} | figures(one, surface, sigma, bodies)
    print(case, flush=True)


def figures(one: Pair, surface: Heights, sigma: Heights | None, bodies: tipscores.Particles | None) -> dict:
    """Return every figure of one frame."""
    found = {"height_nm": float(np.abs(surface - one.surface).mean())}
    if bodies is None:
        found |= {
            "ra": tipscores.mean_roughness(surface), "ra_true": tipscores.mean_roughness(one.surface),
            "contour_nm": tipscores.contour_distance(surface, one.surface, levels_nm=LEVELS_NM, pixel_nm=1.0),
        }  # fmt: skip
    else:
        for name, share in (("half", tipscores.HALF), ("tenth", tipscores.TENTH)):
            found[name] = tipscores.area_errors(surface, one.surface, bodies, share=share).tolist()
            found[f"{name}_px"] = tipscores.areas(surface, bodies, share=share).tolist()
            found[f"{name}_true_px"] = tipscores.areas(one.surface, bodies, share=share).tolist()
    if sigma is not None:
        touched = eroded(one.exact, one) - one.surface < TOUCHED_NM
        found |= {
            "coverage": tipscores.coverage(surface, sigma, one.surface),
            "sigma_touched": float(sigma[touched].mean()), "sigma_untouched": float(sigma[~touched].mean()),
            "ra_with_spread": with_spread(surface, sigma),
        }  # fmt: skip
    return found


def with_spread(surface: Heights, sigma: Heights) -> float:
    """Return Ra of the surface with what is unknown of it put back: mean squares of heights and of sigma add."""
    rms = float(surface.std())
    return tipscores.mean_roughness(surface) * float(np.sqrt(1 + (sigma.astype(np.float64) ** 2).mean() / rms**2))


def all_methods(weights: Path | None) -> dict[str, Method]:
    """Return every method at hand by name."""
    network = network_deconvolver(weights, look=tip_view, recipe=RECIPE)
    methods: dict[str, Method] = {
        "imaged": lambda one: (one.image, None),
        "erosion": lambda one: (eroded(one.image, one), None),
    }
    methods |= classical()
    methods |= {name: published(name) for name in ("published-mse", "published-mae") if run_of(name).exists()}
    methods["network"] = lambda one: network.restored(one.image, pixel_nm=one.pixel_nm, tip=one.tip)[:2]
    return methods


def eroded(image: Heights, one: Pair) -> Heights:
    """Return the erosion with the true tip."""
    return erode(image, kernel(one.tip, pixel_nm=one.pixel_nm, relief_nm=float(np.ptp(image))))


def classical() -> dict[str, Method]:
    """Return certainty gating as afmd's own door offers it."""
    import afmd

    if not hasattr(afmd, "deconvolve"):
        return {}

    def gated(one: Pair) -> tuple[Heights, None]:
        return afmd.deconvolve(one.image, pixel_nm=one.pixel_nm, tip=one.tip, method="certainty").surface, None

    return {"certainty": gated}


def run_of(name: str) -> Path:
    return RUNS / f"tip-{name}" / "best.pt"


def published(name: str) -> Method:
    """Return paper B's kind of network, trained by its preset."""
    import torch

    from afmd.training.tipnet import PublishedTipNet

    net = PublishedTipNet()
    net.load_state_dict(torch.load(run_of(name), weights_only=True))
    net.eval()

    def answer(one: Pair) -> tuple[Heights, None]:
        with torch.no_grad():
            return net(torch.from_numpy(one.image)[None, None])[0, 0].numpy(), None

    return answer


def unknown_tip(methods: dict[str, Method], count: int) -> list[dict]:
    """Return the figures of a tip that is first estimated from the image itself, where afmd can do that."""
    import afmd

    if not hasattr(afmd, "estimate_tip"):
        return []
    rows = []
    for case in (Case(kind, noise_nm=noise) for kind in BODIES for noise in (0.0, 0.3)):
        for one in frames(case, count):
            try:
                tip = afmd.estimate_tip(one.image, pixel_nm=one.pixel_nm).tip
                surface, _ = methods["network"](replace(one, tip=tip))
            except AfmdError as e:
                rows.append({"kind": case.kind, "condition": case.condition, "refused": str(e)})
                continue
            bodies = tipscores.particles(one.surface, margin_px=20)
            rows.append({
                "kind": case.kind, "condition": case.condition,
                "radius_error": 100 * abs(tip.radius_nm / one.tip.radius_nm - 1),
                "half": tipscores.area_errors(surface, one.surface, bodies, share=tipscores.HALF).tolist(),
            })  # fmt: skip
    return rows


def speed(methods: dict[str, Method]) -> dict[str, float]:
    """Return the least processor time of five runs at 512², in ms; other programs on the machine do not count."""
    import afmd

    one = next(frames(Case("misc", 512), 1))
    spoilt = next(frames(Case("misc", 512, noise_nm=0.3, faults=True), 1))

    def fastest(run: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            begun = process_time()
            run()
            times.append(process_time() - begun)
        return 1e3 * min(times)

    return {
        "erosion": fastest(lambda: eroded(one.image, one)),
        "planes": fastest(lambda: tip_view(one.image, pixel_nm=one.pixel_nm, tip=one.tip)),
        "planes and network": fastest(lambda: methods["network"](one)),
        "planes and network, lines and edges + 0.3 nm noise": fastest(lambda: methods["network"](spoilt)),
        "blind estimate of the tip, 0.3 nm noise": fastest(lambda: afmd.estimate_tip(spoilt.image, pixel_nm=1.0)),
    }


if __name__ == "__main__":
    main()
