"""The small network that weighs evidence inside holes: its scans, its training, its module of coefficients.

    python -m afmd.training.filling [--scans 360] [--steps 3500]

Writes ``afmd/science/inpaint/coefficients.py``. Rule: clues come from the function that filling itself uses, and scans
from ``TRAINING`` alone, from seeds that no benchmark draws.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from afmd.science.inpaint import evidence
from afmd.science.inpaint.clues import CANDIDATES, PIXEL_CLUES, Clues
from afmd.science.inpaint.evidence import FURTHEST, HIDDEN, NARROWEST, OUTPUTS, WIDEST
from afmd.science.inpaint.kriging import kriged
from afmd.science.inpaint.numbers import packed
from afmd.science.inpaint.sigma import standard_deviation
from afmd.twin import TRAINING, simulate

FIRST_SEED = 3_600_000
KINDS = ("lost_lines", "lift_off", "jump", "scar", "drag", "parachute", "spike", "burst", "smear")
LARGEST_SHARE, FEWEST, CROP, PIXELS = 0.3, 40, 288, 1200
ROUNDS = 2
"""How often each scan is drawn from, each time another window, other pixels and other strange holes."""
STRANGE, WIDER = 0.5, 0.15
"""Chances that a scan also gives holes whose contents no artefact left, or the same holes with too wide a mask."""
OFTEN = np.array([1, 1, 1, 1, 1, 1, 3, 3, 1]) / 13
"""How often each of the strange contents stands in the holes."""
BATCH, RATE = 2048, 6e-3
COVERED = 0.9
COEFFICIENTS = Path(evidence.__file__).with_name("coefficients.py")

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """A scan without background: ``heights`` as measured and ``truth``, float32 nm, ``mask`` True = spoilt."""

    heights: Plane
    truth: Plane
    mask: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some masked pixels of one scan. ``clues``: float32 (n, pixel and scan clues). ``candidates``: float32 (n, k).

    ``doubt``, ``wanted``: float32 (n,), kriging's doubt and the truth relative to kriging's prediction. ``span``: the
    truth's range. ``rms``: kriging's rms error over it. Heights in units of the surface's spread.
    """

    clues: Plane
    candidates: Plane
    doubt: Plane
    wanted: Plane
    span: float
    rms: float


def main() -> None:
    """Draw, train, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=360)
    parser.add_argument("--steps", type=int, default=3500)
    args = parser.parse_args()
    rng = np.random.default_rng(FIRST_SEED)
    samples = [sample for scan in scans(args.scans) for _ in range(ROUNDS) for sample in drawn(scan, rng)]
    COEFFICIENTS.write_text(written(fitted(samples, steps=args.steps)), encoding="utf-8")


def scans(count: int, *, first: int = FIRST_SEED) -> Iterator[Spoilt]:
    """Yield simulated scans, the kinds in turn, but for those that hardly show or are mostly artefact."""
    done = 0
    for seed in itertools.count(first):
        made = simulate(seed, recipe=TRAINING.only(KINDS[done % len(KINDS)]))
        if made.visible and made.artifact.mean() <= LARGEST_SHARE:
            heights = made.scan.heights - made.background
            yield Spoilt(heights, heights - made.displacement, made.artifact)
            done += 1
        if done == count:
            return


def drawn(scan: Spoilt, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield samples of one scan: as it is, perhaps with too wide a mask, perhaps with other holes."""
    whole = _cropped(scan, rng)
    yield from _sampled(whole, rng)
    if (chance := rng.random()) < WIDER:
        around = np.ones((rng.integers(1, 4), rng.integers(1, 6)), dtype=bool)
        yield from _sampled(Spoilt(whole.heights, whole.truth, ndimage.binary_dilation(whole.mask, around)), rng)
    elif chance < WIDER + STRANGE:
        yield from _sampled(strange(whole.truth, rng), rng)


def strange(truth: Plane, rng: np.random.Generator) -> Spoilt:
    """Return a scan with streaks and discs in which stands what has nothing, or all too much, to do with the surface.

    A constant, noise, another place, a smooth landscape; the truth, with noise, with an offset for each hole, or with
    something lying on it that fills the hole and is to go.
    """
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
    return Spoilt(np.where(mask, content, truth), truth, mask)


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
    return Spoilt(scan.heights[best].copy(), scan.truth[best].copy(), scan.mask[best].copy())


def _sampled(scan: Spoilt, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield the clues of some masked pixels; nothing where the holes are too small, or leave too little."""
    count = int(np.count_nonzero(scan.mask))
    if count < FEWEST or scan.mask.mean() > 2 * LARGEST_SHARE:
        return
    guess = kriged(scan.heights, scan.mask)
    if guess.covariance.variance <= 0:
        return
    found = Clues(scan.heights, scan.mask, guess=guess, sigma=standard_deviation(guess))
    wanted = (scan.truth[scan.mask] - guess.filled.values) / np.float32(found.unit_nm)
    span = float(np.ptp(scan.truth)) / found.unit_nm
    at = rng.permutation(count)[:PIXELS]
    every = slice(0, count)
    together = np.concatenate([found.pixels(every)[:, at].T, np.tile(found.scan, (len(at), 1))], axis=1)
    rms = float(np.sqrt(np.mean(np.square(wanted)))) / span
    yield Sample(together, found.candidates(every)[:, at].T, found.doubt[at], wanted[at], span, rms)


def fitted(samples: list[Sample], *, steps: int) -> list[Plane]:
    """Train the network; return its arrays as ``evidence.SHAPES`` lists them."""
    torch.manual_seed(0)
    data = _Tensors(samples)
    net = nn.Sequential(
        nn.Linear(data.clues.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
        nn.Linear(HIDDEN, OUTPUTS),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(steps):
        picked = torch.randint(0, len(data.wanted), (BATCH,))
        loss = data.loss(net, picked)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return data.folded(net)


class _Tensors:
    """All samples as tensors, clues standardised; every sample weighs the same."""

    def __init__(self, samples: list[Sample]) -> None:
        raw = np.concatenate([sample.clues for sample in samples])
        self.mean, self.spread = raw.mean(axis=0), raw.std(axis=0) + 1e-6
        self.scan_range = np.stack([raw[:, PIXEL_CLUES:].min(axis=0), raw[:, PIXEL_CLUES:].max(axis=0)])
        self.clues = torch.from_numpy((raw - self.mean) / self.spread)
        self.candidates = torch.from_numpy(np.concatenate([sample.candidates for sample in samples]))
        self.doubt = torch.from_numpy(np.concatenate([sample.doubt for sample in samples]))
        self.wanted = torch.from_numpy(np.concatenate([sample.wanted for sample in samples]))
        self.span, self.rms, self.share = (
            torch.tensor(np.repeat(values, [len(sample.wanted) for sample in samples]), dtype=torch.float32)
            for values in zip(*((s.span, s.rms, PIXELS / len(s.wanted)) for s in samples), strict=True)
        )

    def loss(self, net: nn.Module, at: torch.Tensor) -> torch.Tensor:
        out = net(self.clues[at])
        weights = torch.softmax(out[:, :CANDIDATES], dim=1)
        mean = (weights * self.candidates[at]).sum(dim=1)
        spread = (weights * (self.candidates[at] - mean[:, None]) ** 2).sum(dim=1)
        doubt, span = self.doubt[at], self.span[at]
        error = mean + FURTHEST * doubt * torch.tanh(out[:, CANDIDATES]) - self.wanted[at]
        half = torch.exp(out[:, CANDIDATES + 1].clamp(NARROWEST, WIDEST)) * torch.sqrt(doubt**2 + spread)
        outside = error.detach().abs() - half
        pinball = torch.maximum(COVERED * outside, (COVERED - 1) * outside) / half.detach()
        squared = (error / span) ** 2 / (self.rms[at] + 0.01)
        each = 10 * squared + 0.3 * error.abs() / span + 0.05 * pinball.clamp(max=20)
        return (self.share[at] * each).mean()

    def folded(self, net: nn.Sequential) -> list[Plane]:
        """Return the network's arrays for clues as they are, the standardisation worked into the first layer."""
        arrays = [parameter.detach().numpy() for parameter in net.parameters()]
        first = arrays[0] / self.spread
        return [self.scan_range, first, arrays[1] - first @ self.mean, *arrays[2:]]


def written(arrays: list[Plane]) -> str:
    """Return the module of coefficients."""
    text, width = packed(arrays), 112
    lines = "\n".join(f'    "{text[start : start + width]}"' for start in range(0, len(text), width))
    return (
        '"""What ``evidence`` learnt. Written by ``afmd.training.filling`` from simulated scans; not to be edited."""'
        f"\n\nNETWORK = (\n{lines}\n)\n"
    )


if __name__ == "__main__":
    main()
