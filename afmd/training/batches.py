"""Batches from examples. Rule: a batch is a function of seed and step; only changes that physics allows are made.

Allowed: mirroring left and right (the trace of the mirrored sample, scanned the other way), mirroring up and down (the
other frame direction), withholding the opposite pass, exchanging the passes' roles for good scans, other gain.
Not allowed: quarter turns, which would lay row faults along columns, and turning heights upside down.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from afmd.domain.findings import Label
from afmd.inference import planes
from afmd.training.config import Training
from afmd.training.corpus import ARTIFACT, FEATURE, Entry, Example, kept, open_example
from afmd.training.natures import nature_of

LABELS = tuple(Label)
BATCH_PX = 256 * 256
"""Pixels of a crop that the configured batch counts; of smaller crops there are more, so that all steps weigh alike."""
ARTIFACT_TARGET, FEATURE_TARGET, CLASS, WEIGHT, NATURE = range(5)
"""Where a segmenter's targets hold artefact, feature, the spoilt pixel's class, the artefact's weight, its nature."""
SPARE_BYTES = 8 << 30
"""Room on the disk that the cache of planes leaves to others: checkpoints must be written, planes need not be."""
FAINT = 0.2
"""What a spoilt pixel weighs where nobody could see the fault: enough to be learned, too little to invent masks for."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Network input and its answers, float32 tensors; labels are int64 (n,), targets (n, 5, rows, cols)."""

    planes: Tensor
    answers: Tensor


def classifier_batch(entries: Sequence[Entry], configuration: Training, step: int) -> Batch:
    """Return planes (n, 3, 224, 224) and labels, the classes in equal shares."""
    rng = np.random.default_rng([configuration.seed, step, 1])
    by_label = [[e for e in entries if e.label is label] for label in LABELS]
    chosen = [by_label[(step + i) % len(LABELS)] for i in range(configuration.optimiser.batch)]
    picked = [own[int(rng.integers(len(own)))] for own in chosen if own]
    images = []
    for entry in picked:
        example = varied(open_example(entry), rng, retrace_dropout=configuration.retrace_dropout)
        images.append(jittered(classifier_input(example, grey=configuration.classifier.grey), rng))
    return Batch(_tensor(images), torch.tensor([LABELS.index(e.label) for e in picked]))


def classifier_input(example: Example, *, grey: bool) -> planes.Plane:
    """Return the classifier's planes; ``grey`` gives the published picture, one levelled plane three times."""
    if grey:
        return grey_planes(example.heights)
    return planes.classifier_planes(example.heights, example.retrace)


def grey_planes(heights: NDArray[np.float32]) -> planes.Plane:
    """Return paper A's input: the picture between its 1st and 99th percentile, shrunk to 224 × 224, z-scored, ×3."""
    level = planes.less_plane(heights)
    low, high = np.percentile(level, (1, 99))
    grey = np.clip((level - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    small = planes.pool(grey, np.add)
    return np.repeat(((small - 0.5) / 0.25)[None], 3, axis=0)


def segmenter_batch(entries: Sequence[Entry], configuration: Training, step: int) -> Batch:
    """Return planes (n, planes, rows, cols) and targets (n, 5, rows, cols) of crops at native resolution."""
    rng = np.random.default_rng([configuration.seed, step, 2])
    crops = configuration.segmenter.crops
    shape = crops[int(rng.integers(len(crops)))]
    wanted = max(1, round(configuration.optimiser.batch * BATCH_PX / (shape[0] * shape[1])))
    images: list[planes.Plane] = []
    answers: list[planes.Plane] = []
    while len(images) < wanted:
        entry = entries[int(rng.integers(len(entries)))]
        scan = prepared(entry)
        for _ in range(1 if scan[0].size < 1.5 * shape[0] * shape[1] else 2):
            window = crop_window((scan[-1].astype(np.uint8) & ARTIFACT) != 0, shape, rng)
            crop = fitted(scan[:, *window].astype(np.float32), shape)
            image = without_retrace(crop[:-1], rng, chance=configuration.retrace_dropout)
            turns = bool(rng.integers(2)), bool(rng.integers(2))
            images.append(jittered(mirrored(image, down=turns[0], across=turns[1]), rng))
            answers.append(all_targets(entry, crop[-1][_turned(turns)].astype(np.uint8)))
    return Batch(_tensor(images), _tensor(answers))


def prepared(entry: Entry) -> NDArray[np.float16]:
    """Return planes and, last, target bits of a stored scan, (planes + 1, rows, cols).

    Made once and then read by windows, unless the disk has less than ``SPARE_BYTES`` left for them: then made again.
    """

    def made() -> NDArray[np.float16]:
        example = open_example(entry)
        native = planes.segmenter_planes(example.heights, example.retrace)
        return np.concatenate([native, example.targets[None]]).astype(np.float16)

    file = entry.file.parent / f"planes-{planes.RECIPE}" / f"{entry.seed}.npy"
    if not file.exists() and shutil.disk_usage(entry.file.parent).free < SPARE_BYTES:
        return made()
    return np.asarray(np.load(kept(file, made), mmap_mode="r"))


def without_retrace(image: planes.Plane, rng: np.random.Generator, *, chance: float) -> planes.Plane:
    """Withhold the opposite pass by chance."""
    if rng.random() < chance:
        image[[planes.PASS_DIFFERENCE, planes.PASS_PRESENT]] = 0
    return image


def mirrored(image: planes.Plane, *, down: bool, across: bool) -> planes.Plane:
    """Return the planes that the mirrored scan has: differences change sign and move on by one line or column."""
    if down:
        image = image[:, ::-1].copy()
        for plane in (planes.DOWN, planes.ROW_STEP):
            image[plane, 1:] = -image[plane, :-1].copy()
            image[plane, 0] = 0
    if across:
        image = image[:, :, ::-1].copy()
        image[planes.ACROSS, :, 1:] = -image[planes.ACROSS, :, :-1].copy()
        image[planes.ACROSS, :, 0] = 0
    return image


def _turned(turns: tuple[bool, bool]) -> tuple[slice, slice]:
    down, across = (slice(None, None, -1 if turn else None) for turn in turns)
    return down, across


def crop_window(artifact: NDArray[np.bool_], shape: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a window of at most ``shape``; half the time one that holds some spoilt pixel, where there is one."""
    spoilt = np.flatnonzero(artifact) if rng.random() < 0.5 else np.empty(0, int)
    centre = np.unravel_index(rng.choice(spoilt), artifact.shape) if spoilt.size else None
    window = []
    for axis, (length, side) in enumerate(zip(artifact.shape, shape, strict=True)):
        room = max(length - side, 0)
        start = rng.integers(room + 1) if centre is None else int(centre[axis]) - rng.integers(side)
        start = int(np.clip(start, 0, room))
        window.append(slice(start, start + min(side, length)))
    return window[0], window[1]


def all_targets(entry: Entry, targets: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (5, rows, cols): two of 0 and 1, the index of the spoilt pixel's class, weights, the nature's index."""
    both = both_targets(targets)
    faint = not entry.visible and entry.label is not Label.GOOD
    weight = np.where(both[:1] > 0, FAINT if faint else 1.0, 1.0).astype(np.float32)
    nature = np.full_like(weight, nature_of(entry.kinds))
    return np.concatenate([both, both[:1] * LABELS.index(entry.label), weight, nature])


def both_targets(targets: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (2, rows, cols) of 0 and 1: artefact, feature."""
    return np.stack([(targets & ARTIFACT) != 0, (targets & FEATURE) != 0]).astype(np.float32)


def fitted(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Extend (planes, rows, cols) to ``shape`` by mirroring at the lower and right edge, as inference does."""
    grow = [(0, wanted - have) for wanted, have in zip(shape, image.shape[1:], strict=True)]
    return np.pad(image, ((0, 0), *grow), mode="symmetric") if any(g for _, g in grow) else image


def varied(example: Example, rng: np.random.Generator, *, retrace_dropout: float) -> Example:
    """Return the example mirrored by chance in either direction, and perhaps without its opposite pass."""
    turn = (slice(None, None, rng.choice((1, -1))), slice(None, None, rng.choice((1, -1))))
    keep = example.retrace is not None and rng.random() >= retrace_dropout
    return Example(
        seed=example.seed, heights=example.heights[turn], targets=example.targets[turn],
        retrace=example.retrace[turn] if keep and example.retrace is not None else None,
        label=example.label, kinds=example.kinds, visible=example.visible, severity=example.severity,
    )  # fmt: skip


def jittered(image: planes.Plane, rng: np.random.Generator) -> planes.Plane:
    """Return planes times one factor near 1 each: estimates of scale are never exact."""
    factors = np.exp(rng.normal(0, 0.08, len(image))).astype(np.float32)
    if len(image) == len(planes.NAMES):
        factors[planes.PASS_PRESENT] = 1
    return image * factors[:, None, None]


def _tensor(images: Sequence[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(images)))
