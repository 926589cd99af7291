"""The tip's morphology beside Gwyddion's own library, and what estimate and removal take.

    OMP_NUM_THREADS=1 python benchmarks/tip.py [--side 512] [--repeats 7] [--figures N]

Erosion of a simulated image by a 21 × 21 tip, ours and Gwyddion's by turns in this one process, each on one thread, as
a ratio of the fastest of each; both results are compared first. Then processor seconds of the blind estimate and of the
removal by contacts; planes and answer of the network as ratios to one erosion. ``--figures N`` adds the errors of
the estimated radius over N frames a kind, from the evaluation seeds: blocks, domes, prisms, cylinders, all of them, and
fractal ground, as paper B draws them.
"""

import argparse
import ctypes
import ctypes.util
import time
from collections.abc import Callable
from ctypes import POINTER, c_double, c_int, c_void_p
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from afmd.domain.tip_method import TipMethod
from afmd.inference.deconvolution import network_deconvolver
from afmd.pipeline.deconvolution import TipPlan, deconvolved
from afmd.science.tip import erode, estimated, kernel
from afmd.science.tip.planes import RECIPE, tip_view
from afmd.twin.pairs import Pair, pair, paper_b

TIP_SIDE = 21
EVALUATION_SEED = 41_000_000
KINDS = ("domes", "cuboids", "prisms", "cylinders", "misc", "fractal")
NOISES_NM = (0.0, 0.3)

Heights = NDArray[np.float64]


def main() -> None:
    arguments = _arguments()
    cv2.setNumThreads(1)
    frame = _frame("cuboids", 1, side=arguments.side, noise_nm=0.3)
    _morphology(frame.image.astype(np.float64), arguments.repeats)
    _whole(frame)
    _network(_frame("misc", 1, side=arguments.side, noise_nm=0.0), arguments.repeats)
    if arguments.figures:
        _figures(arguments.figures, side=arguments.side)


def _arguments() -> argparse.Namespace:
    own = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    own.add_argument("--side", type=int, default=512)
    own.add_argument("--repeats", type=int, default=7)
    own.add_argument("--figures", type=int, default=0, metavar="N")
    return own.parse_args()


def _morphology(image: Heights, repeats: int) -> None:
    tip = _tip_of(TIP_SIDE)
    rivals: dict[str, Callable[[], Heights]] = {
        "afmd, float64": lambda: np.asarray(erode(image, tip)),
        "afmd, float32": lambda: np.asarray(erode(image.astype(np.float32), tip)),
    }
    theirs = _gwyddion(image, tip)
    if theirs is None:
        print("Gwyddion's library (libgwyprocess2) is not installed: no ratio to it.")
    else:
        rivals["Gwyddion"] = theirs
        inner = np.s_[TIP_SIDE:-TIP_SIDE, TIP_SIDE:-TIP_SIDE]
        apart = np.abs(theirs()[inner] - rivals["afmd, float64"]()[inner]).max()
        print(
            f"erosion of {image.shape[0]} × {image.shape[1]} by {TIP_SIDE} × {TIP_SIDE}: they differ by {apart:.1e} nm"
        )
    spent = {name: float("inf") for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            start = time.process_time()
            run()
            spent[name] = min(spent[name], time.process_time() - start)
    for name, seconds in spent.items():
        ratio = f", Gwyddion takes {spent['Gwyddion'] / seconds:.1f} times as long" if theirs else ""
        print(f"  {name:14s} {1e3 * seconds:7.1f} ms{ratio}")


def _tip_of(side: int) -> Heights:
    """Return a finite cone of exactly ``side`` pixels, 1 nm each."""
    across = np.arange(side) - side // 2
    away = np.hypot(across[:, None], across[None, :])
    return np.where(away < 6, 7 - np.sqrt(np.maximum(49 - away**2, 0)), away - 2.6)


def _gwyddion(image: Heights, tip: Heights) -> Callable[[], Heights] | None:
    base, name = ctypes.util.find_library("gwyddion2"), ctypes.util.find_library("gwyprocess2")
    if base is None or name is None:
        return None
    ctypes.CDLL(base, mode=ctypes.RTLD_GLOBAL)
    library: Any = ctypes.CDLL(name)
    library.gwy_process_type_init()
    library.gwy_data_field_new.restype = c_void_p
    library.gwy_data_field_new.argtypes = [c_int, c_int, c_double, c_double, c_int]
    library.gwy_data_field_get_data.restype = POINTER(c_double)
    library.gwy_data_field_get_data.argtypes = [c_void_p]
    library.gwy_tip_erosion.argtypes = [c_void_p] * 5

    def field(values: Heights) -> tuple[int, Heights]:
        rows, cols = values.shape
        new = library.gwy_data_field_new(cols, rows, float(cols), float(rows), 1)
        view = np.ctypeslib.as_array(library.gwy_data_field_get_data(new), shape=values.shape)
        view[:] = values
        return new, view

    (own_tip, _), (picture, _), (result, view) = field(tip.max() - tip), field(image), field(np.zeros_like(image))

    def run() -> Heights:
        library.gwy_tip_erosion(own_tip, picture, result, None, None)
        return view

    return run


def _whole(frame: Pair) -> None:
    mask = np.zeros(frame.image.shape, dtype=bool)
    _, spent = _timed(lambda: estimated(frame.image, pixel_nm=frame.pixel_nm, trusted=~mask))
    print(f"blind estimate {spent:.2f} s of processor time")
    plan = TipPlan(frame.tip, TipMethod.CERTAINTY)
    _, spent = _timed(lambda: deconvolved(frame.image, pixel_nm=frame.pixel_nm, mask=mask, plan=plan))
    print(f"removal by contacts {spent:.2f} s of processor time")


def _network(frame: Pair, repeats: int) -> None:
    """Print what the network's planes and the whole of its answer take, beside one exact erosion in the same run."""
    shape = kernel(frame.tip, pixel_nm=frame.pixel_nm, relief_nm=float(np.ptp(frame.image)))
    network = network_deconvolver(look=tip_view, recipe=RECIPE)
    rivals: dict[str, Callable[[], Any]] = {
        "exact erosion": lambda: erode(frame.image, shape),
        "planes": lambda: tip_view(frame.image, pixel_nm=frame.pixel_nm, tip=frame.tip),
        "planes and network": lambda: network.restored(frame.image, pixel_nm=frame.pixel_nm, tip=frame.tip),
    }
    spent = {name: min(_timed(run)[1] for _ in range(repeats)) for name, run in rivals.items()}
    for name, seconds in spent.items():
        print(f"  {name:18s} {1e3 * seconds:7.1f} ms, {seconds / spent['exact erosion']:.1f} erosions")


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    found = run()
    return found, time.process_time() - start


def _figures(count: int, *, side: int) -> None:
    print(f"error of the estimated radius, %: median of absolute, worst; untold of {count}; tip 10 nm, pixels 1 nm")
    for kind in KINDS:
        for noise_nm in NOISES_NM:
            told = [_error(_frame(kind, seed, side=side, noise_nm=noise_nm)) for seed in range(count)]
            known = np.abs([error for error in told if np.isfinite(error)])
            median = f"{np.median(known):5.1f} {known.max():6.1f}" if known.size else "    –      –"
            print(f"  {kind:10s} {noise_nm:.1f} nm noise  {median}  {count - known.size:3d}", flush=True)


def _error(frame: Pair) -> float:
    mask = np.zeros(frame.image.shape, dtype=bool)
    found = estimated(frame.image, pixel_nm=frame.pixel_nm, trusted=~mask)
    return 100 * (found.radius_nm / frame.tip.radius_nm - 1)


def _frame(kind: str, seed: int, *, side: int, noise_nm: float) -> Pair:
    return pair(EVALUATION_SEED + seed, recipe=paper_b(kind, side=side, noise_nm=noise_nm))


if __name__ == "__main__":
    main()
