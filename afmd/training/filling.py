"""The small networks that weigh evidence inside holes: their scans, their training, their module of coefficients.

    python -m afmd.training.filling [--scans 1600] [--steps 4000] [--widths] [--out FILE]

Writes ``afmd/science/inpaint/coefficients.py``: a network for scans of one pass, one for scans of both. Rule: clues
come from the function that filling itself uses, and scans from ``TRAINING`` alone, from seeds that no benchmark draws.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from afmd.science.inpaint import evidence
from afmd.science.inpaint.clues import (
    CANDIDATES,
    DIFFERENCES,
    PASS_CANDIDATES,
    PASS_DIFFERENCES,
    PASS_SCAN_CLUES,
    PIXEL_CLUES,
    SCAN_CLUES,
    Clues,
)
from afmd.science.inpaint.coefficients import BOTH_PASSES, ONE_PASS
from afmd.science.inpaint.evidence import FURTHEST, HIDDEN, NARROWEST, WIDEST, shapes
from afmd.science.inpaint.kriging import kriged
from afmd.science.inpaint.numbers import packed, unpacked
from afmd.science.inpaint.passes import laid
from afmd.science.inpaint.sigma import standard_deviation
from afmd.twin import KINDS, TRAINING, simulate

FIRST_SEED = 31_000_000
HOLE_KINDS = tuple(kind for kind in KINDS if kind != "ripple")
"""All but ripple, which is nowhere absent and leaves nothing to fill from."""
LARGEST_SHARE, FEWEST, CROP = 0.3, 5, 288
PIXELS, EACH_WIDTH = 1000, 160
"""Pixels taken of a scan, and at least how many of each class of holes, where there are so many."""
WIDTHS = (1.5, 2.5, 4.5)
"""Bounds of the classes, px from a hole's middle to data: holes of 1 to 2, 3 to 4, 5 to 8 and more px."""
FREE_KINDS = ("burst", "jump", "lost_lines", "mains", "scar", "spike")
"""Those whose size and sign hang on nothing that the scan shows."""
FREELY, TIMES = 0.7, 1.0
"""How often their displacement is taken several times, either way, and the spread of the factor's logarithm."""
STRANGE, WIDER = 0.5, 0.15
"""Chances that a scan also gives holes whose contents no artefact left, or the same holes with too wide a mask."""
OFTEN = np.array([1, 1, 1, 1, 1, 1, 3, 3, 1]) / 13
"""How often each of the strange contents stands in the holes."""
BATCH, RATE, WIDTHS_RATE = 1024, 6e-3, 1e-2
LEAST_SPREAD = 1e-3
"""Of a clue over all pixels: one that hardly varies tells nothing, and its weights must fit half precision."""
BLUR, BLUR_OF_SCAN = 0.03, 0.2
"""Noise on the clues, in their spreads: some hundred scans must not be known by what their pixels share (of scans kept
out, intervals covered 84 % instead of 79 %, and the height was off by less)."""
COVERED_UNDER_ARTEFACTS, COVERED_ELSE = 0.93, 0.88
"""Shares that the interval learns to hold: on surfaces that it has not learnt from it holds fewer under artefacts, and
more in holes beside which nothing is spoilt."""
COEFFICIENTS = Path(evidence.__file__).with_name("coefficients.py")

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """A scan without background: ``heights`` as measured and ``truth``, float32 nm, ``mask`` True = spoilt.

    ``other``: the other pass as recorded. ``kind``: of artefact.
    """

    heights: Plane
    truth: Plane
    mask: Mask
    other: Plane
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some masked pixels of one scan, the other pass heard.

    ``clues``: float32 (n, pixel and scan clues). ``candidates``: float32 (n, k). ``doubt``, ``wanted``: float32 (n,),
    kriging's doubt and the truth relative to kriging's prediction. ``share``, ``even``: float32 (n,), the share that
    each stands for of the scan's masked pixels, and of those in its class of holes. ``span``: the truth's range.
    ``rms``: kriging's rms error over it. ``aim``: the share of errors that the interval shall hold. Heights in units of
    the surface's spread.
    """

    clues: Plane
    candidates: Plane
    doubt: Plane
    wanted: Plane
    share: Plane
    even: Plane
    span: float
    rms: float
    aim: float


def main() -> None:
    """Draw, train, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=1600)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--widths", action="store_true", help="only the intervals of the networks in use anew")
    parser.add_argument("--out", type=Path, default=COEFFICIENTS)
    args = parser.parse_args()
    rng = np.random.default_rng(FIRST_SEED)
    samples = [sample for scan in scans(args.scans) for sample in drawn(scan, rng)]
    one, both = (
        widened(samples, in_use(passes=passes), steps=args.steps, passes=passes)
        if args.widths
        else fitted(samples, steps=args.steps, passes=passes)
        for passes in (False, True)
    )
    args.out.write_text(written(one, both), encoding="utf-8")


def scans(count: int, *, first: int = FIRST_SEED) -> Iterator[Spoilt]:
    """Yield simulated scans, the kinds in turn, strong or weak, but for those that are mostly artefact."""
    done = 0
    for seed in itertools.count(first):
        kind = HOLE_KINDS[done % len(HOLE_KINDS)]
        made = simulate(seed, recipe=TRAINING.only(kind))
        retrace = made.scan.retrace
        if retrace is not None and 0 < made.artifact.mean() <= LARGEST_SHARE:
            heights = made.scan.heights - made.background
            yield Spoilt(heights, heights - made.displacement, made.artifact, retrace, kind)
            done += 1
        if done == count:
            return


def drawn(scan: Spoilt, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield samples of one scan: as it is or stronger, perhaps with too wide a mask, perhaps with other holes."""
    whole = _cropped(scan, rng)
    if scan.kind in FREE_KINDS and rng.random() < FREELY:
        whole = _displaced(whole, rng.choice((-1, 1)) * np.exp(rng.normal(0, TIMES)))
    yield from _sampled(whole, rng, aim=COVERED_UNDER_ARTEFACTS)
    if (chance := rng.random()) < WIDER:
        around = np.ones((rng.integers(1, 4), rng.integers(1, 6)), dtype=bool)
        yield from _sampled(replace(whole, mask=ndimage.binary_dilation(whole.mask, around)), rng)
    elif chance < WIDER + STRANGE:
        yield from _sampled(strange(whole, rng), rng)


def strange(scan: Spoilt, rng: np.random.Generator) -> Spoilt:
    """Return a scan with streaks and discs in which stands what has nothing, or all too much, to do with the surface.

    A constant, noise, another place, a smooth landscape; the truth, with noise, with an offset for each hole, or with
    something lying on it that fills the hole and is to go. The other pass saw the same, the truth, noise or another
    place, or is as it was recorded.
    """
    truth = scan.truth
    mask = holes(truth.shape, rng)
    rows, cols = truth.shape
    middle, spread = truth.mean(), truth.std()
    smooth = ndimage.gaussian_filter(rng.standard_normal(truth.shape), rng.uniform(1, 15))
    elsewhere = rng.integers(rows // 4, rows // 2), rng.integers(cols // 3)
    number, count = ndimage.label(mask)
    heights = spread * rng.uniform(0.1, 2) * rng.normal(rng.choice([0, 1]), 0.7, count + 1)
    deep = ndimage.distance_transform_edt(mask)
    lying = np.abs(heights)[number] * np.sqrt(deep / deep.max())
    contents = (
        np.full(truth.shape, rng.uniform(truth.min(), truth.max())),
        rng.normal(middle, spread, truth.shape),
        np.roll(truth, elsewhere, (0, 1)),
        middle + smooth / smooth.std() * spread * rng.uniform(0.3, 2),
        truth,
        truth + rng.normal(0, spread * rng.uniform(0.05, 1), truth.shape),
        truth + heights[number],
        truth + lying,
        smooth * 0.1 * spread + lying + np.median(truth),
    )
    content = rng.choice(contents, p=OFTEN).astype(np.float32)
    heights = np.where(mask, content, truth)
    other = (heights, truth, scan.other, contents[1].astype(np.float32), contents[2])[rng.integers(5)]
    return replace(scan, heights=heights, mask=mask, other=other)


def holes(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Return streaks, whole lines and discs over a drawn share of the frame."""
    mask = np.zeros(shape, dtype=bool)
    row, col = np.indices(shape)
    wanted = rng.uniform(0.01, 0.12)
    while mask.mean() < wanted:
        top, left, kind = rng.integers(shape[0]), rng.integers(shape[1]), rng.random()
        if kind < 0.5:
            mask[top : top + rng.integers(1, 6), left : left + rng.integers(8, shape[1])] = True
        elif kind < 0.6:
            mask[top : top + rng.integers(1, 5)] = True
        else:
            mask |= (row - top) ** 2 + (col - left) ** 2 <= rng.integers(1, 12) ** 2
    return mask


def _cropped(scan: Spoilt, rng: np.random.Generator) -> Spoilt:
    """Return the fullest of a few windows."""
    windows = []
    for _ in range(4):
        top, left = (int(rng.integers(max(side - CROP, 0) + 1)) for side in scan.mask.shape)
        windows.append((slice(top, top + CROP), slice(left, left + CROP)))
    best = max(windows, key=lambda window: scan.mask[window].sum())
    planes = {name: getattr(scan, name)[best].copy() for name in ("heights", "truth", "mask", "other")}
    return replace(scan, **planes)


def _displaced(scan: Spoilt, times: float) -> Spoilt:
    """Return a scan whose artefact moved the heights so many times as far."""
    return replace(scan, heights=scan.truth + np.float32(times) * (scan.heights - scan.truth))


def _sampled(scan: Spoilt, rng: np.random.Generator, *, aim: float = COVERED_ELSE) -> Iterator[Sample]:
    """Yield the clues of some masked pixels; nothing where the holes are too small, or leave too little."""
    count = int(np.count_nonzero(scan.mask))
    if count < FEWEST or scan.mask.mean() > 2 * LARGEST_SHARE:
        return
    guess = kriged(scan.heights, scan.mask, laid(scan.heights, scan.other, scan.mask))
    if guess.covariance.variance <= 0:
        return
    found = Clues(scan.heights, scan.mask, guess=guess, sigma=standard_deviation(guess))
    wanted = (scan.truth[scan.mask] - guess.filled.values) / np.float32(found.unit_nm)
    span = float(np.ptp(scan.truth)) / found.unit_nm
    at, share, even = picked(width_classes(scan.mask), rng)
    every = slice(0, count)
    together = np.concatenate([found.pixels(every)[:, at].T, np.tile(found.scan, (len(at), 1))], axis=1)
    rms = float(np.sqrt(np.mean(np.square(wanted)))) / span
    candidates = found.candidates(every)[:, at].T
    yield Sample(together, candidates, found.doubt[at], wanted[at], share, even, span, rms, aim)


def width_classes(mask: Mask) -> NDArray[np.intp]:
    """Return the class of each masked pixel's hole, by its widest place, (n,)."""
    number, count = ndimage.label(mask, np.ones((3, 3)))
    widest = np.asarray(ndimage.maximum(ndimage.distance_transform_edt(mask), number, np.arange(count + 1)))
    return np.searchsorted(WIDTHS, widest[number[mask]])


def picked(classes: NDArray[np.intp], rng: np.random.Generator) -> tuple[NDArray[np.intp], Plane, Plane]:
    """Return which pixels to learn from, some of every class, with ``Sample``'s weights ``share`` and ``even``."""
    shuffled = rng.permutation(classes.size)
    first = [shuffled[classes[shuffled] == number][:EACH_WIDTH] for number in range(len(WIDTHS) + 1)]
    others = np.setdiff1d(shuffled, np.concatenate(first), assume_unique=True)
    at = np.concatenate([*first, others[: max(0, PIXELS - sum(map(len, first)))]])
    taken = np.bincount(classes[at], minlength=len(WIDTHS) + 1)
    whole = np.bincount(classes, minlength=len(WIDTHS) + 1) / classes.size
    each = 1 / np.maximum(taken, 1)
    share, even = (values[classes[at]].astype(np.float32) for values in (whole * each, each))
    return at, share, even


def fitted(samples: Sequence[Sample], *, steps: int, passes: bool) -> list[Plane]:
    """Train a network, with ``passes`` one that hears the other pass; return the arrays of ``evidence.shapes``."""
    torch.manual_seed(0)
    data = _Tensors(samples, passes=passes)
    net = data.network()
    _descended(net, data, steps=steps, rate=RATE)
    return data.folded(net)


def widened(samples: Sequence[Sample], arrays: Sequence[Plane], *, steps: int, passes: bool) -> list[Plane]:
    """Return the arrays of a network with the row anew that tells the interval; its heights stay as they are."""
    torch.manual_seed(0)
    data = _Tensors(samples, passes=passes)
    data.blur[:] = 0
    net = data.network()
    data.unfold(arrays, net)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    *_, weights, bias = net.parameters()
    for parameter in (weights, bias):
        own = torch.zeros_like(parameter)
        own[-1] = 1
        parameter.requires_grad_(True)
        parameter.register_hook(own.mul)  # type: ignore[no-untyped-call]
    _descended(net, data, steps=steps, rate=WIDTHS_RATE)
    *kept, last, last_bias = (np.array(values) for values in arrays)
    last[-1], last_bias[-1] = weights.detach().numpy()[-1], bias.detach().numpy()[-1]
    return [*kept, last, last_bias]


def _descended(net: nn.Module, data: "_Tensors", *, steps: int, rate: float) -> None:
    learnt = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(learnt, rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        loss = data.loss(net)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def in_use(*, passes: bool) -> list[Plane]:
    """Return the arrays of a network in use."""
    return unpacked(BOTH_PASSES if passes else ONE_PASS, shapes(passes=passes))


def heard(*, passes: bool) -> NDArray[np.bool_]:
    """Return which clues of a sample a network hears."""
    pixel, scan = np.ones(PIXEL_CLUES + PASS_DIFFERENCES, bool), np.ones(SCAN_CLUES + PASS_SCAN_CLUES, bool)
    pixel[DIFFERENCES : DIFFERENCES + PASS_DIFFERENCES] = scan[SCAN_CLUES:] = passes
    return np.concatenate([pixel, scan])


class _Tensors:
    """All samples as tensors, clues standardised.

    Pixels are drawn twice: for the height so that every scan weighs the same, for the interval so that every class of
    holes in every scan does, because that is where it has to hold.
    """

    def __init__(self, samples: Sequence[Sample], *, passes: bool) -> None:
        which = heard(passes=passes)
        raw = np.concatenate([sample.clues[:, which] for sample in samples])
        candidates = np.concatenate([sample.candidates for sample in samples])
        self.mean, self.spread = raw.mean(axis=0), raw.std(axis=0) + LEAST_SPREAD
        shared = SCAN_CLUES + passes * PASS_SCAN_CLUES
        self.scan_range = np.stack([raw[:, -shared:].min(axis=0), raw[:, -shared:].max(axis=0)])
        self.clues = torch.from_numpy((raw - self.mean) / self.spread)
        self.blur = torch.full((raw.shape[1],), BLUR)
        self.blur[-shared:] = BLUR_OF_SCAN
        self.candidates = torch.from_numpy(candidates[:, : CANDIDATES + passes * PASS_CANDIDATES])
        self.doubt = torch.from_numpy(np.concatenate([sample.doubt for sample in samples]))
        self.wanted = torch.from_numpy(np.concatenate([sample.wanted for sample in samples]))
        self.span, self.rms, self.aim = (
            torch.tensor(np.repeat(values, [len(sample.wanted) for sample in samples]), dtype=torch.float32)
            for values in zip(*((sample.span, sample.rms, sample.aim) for sample in samples), strict=True)
        )
        self.chances = [
            np.cumsum(np.concatenate(weights), dtype=np.float64)
            for weights in zip(*((sample.share, sample.even) for sample in samples), strict=True)
        ]

    def network(self) -> nn.Sequential:
        """Return a network as it begins."""
        return nn.Sequential(
            nn.Linear(self.clues.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, self.candidates.shape[1] + 2),
        )  # fmt: skip

    def loss(self, net: nn.Module) -> torch.Tensor:
        """Return the loss of the height and of the interval, on pixels drawn for each."""
        at = torch.cat([self._picked(chances) for chances in self.chances])
        error, half = self._judged(net(self.clues[at] + self.blur * torch.randn(len(at), len(self.blur))), at)
        of_height, of_interval, ours = error[:BATCH] / self.span[at[:BATCH]], error[BATCH:].detach().abs(), half[BATCH:]
        squared = of_height**2 / (self.rms[at[:BATCH]] + 0.01)
        outside, aim = of_interval - ours, self.aim[at[BATCH:]]
        pinball = torch.maximum(aim * outside, (aim - 1) * outside) / ours.detach()
        return (10 * squared + 0.3 * of_height.abs() + 0.05 * pinball.clamp(max=20)).mean()

    def _picked(self, chances: NDArray[np.float64]) -> torch.Tensor:
        drawn = torch.rand(BATCH, dtype=torch.float64).numpy() * chances[-1]
        return torch.from_numpy(np.minimum(np.searchsorted(chances, drawn), len(chances) - 1))

    def _judged(self, out: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the errors of the heights and half of the interval, from the network's outputs for some pixels."""
        weights, doubt = torch.softmax(out[:, :-2], dim=1), self.doubt[at]
        mean = (weights * self.candidates[at]).sum(dim=1)
        spread = (weights * (self.candidates[at] - mean[:, None]) ** 2).sum(dim=1)
        error = mean + FURTHEST * doubt * torch.tanh(out[:, -2]) - self.wanted[at]
        return error, torch.exp(out[:, -1].clamp(NARROWEST, WIDEST)) * torch.sqrt(doubt**2 + spread)

    def folded(self, net: nn.Sequential) -> list[Plane]:
        """Return the network's arrays for clues as they are, the standardisation worked into the first layer."""
        arrays = [parameter.detach().numpy() for parameter in net.parameters()]
        first = arrays[0] / self.spread
        return [self.scan_range, first, arrays[1] - first @ self.mean, *arrays[2:]]

    def unfold(self, arrays: Sequence[Plane], net: nn.Sequential) -> None:
        """Set the network to arrays that ``folded`` returned, for clues as they are standardised here."""
        _, first, bias, *others = arrays
        with torch.no_grad():
            for parameter, values in zip(
                net.parameters(), (first * self.spread, bias + first @ self.mean, *others), strict=True
            ):
                parameter.copy_(torch.from_numpy(np.asarray(values, np.float32)))


def written(one: list[Plane], both: list[Plane]) -> str:
    """Return the module of coefficients: of the network that hears one pass, and of that which hears both."""
    width = 112
    told = '"""What ``evidence`` learnt. Written by ``afmd.training.filling`` from simulated scans, not by hand."""\n'
    for name, arrays in (("ONE_PASS", one), ("BOTH_PASSES", both)):
        text = packed(arrays)
        lines = "\n".join(f'    "{text[start : start + width]}"' for start in range(0, len(text), width))
        told += f"\n{name} = (\n{lines}\n)\n"
    return told


if __name__ == "__main__":
    main()
