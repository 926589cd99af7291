"""What is made small. Rule: every loss is a mean, so that its size does not depend on the batch or the crop."""

import torch
from torch import Tensor
from torch.nn import functional

CROSS_ENTROPY = 4.0
"""What the pixels' cross-entropy weighs beside Dice."""


def focal_classes(logits: Tensor, labels: Tensor, *, focus: float, smoothing: float) -> Tensor:
    """Return the focal loss over classes (Lin et al., ICCV 2017, eq. 5), with smoothed labels.

    ``logits`` (n, classes); ``labels`` (n,) integers.
    """
    losses = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    sure = logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    return ((1 - sure) ** focus * losses).mean()


def focal_pixels(logits: Tensor, targets: Tensor, *, weights: Tensor, focus: float) -> Tensor:
    """Return the focal cross-entropy of yes or no, each pixel times its weight, meaned; shapes agree or broadcast.

    A tenth of the plain cross-entropy stays, so that what is nearly right goes on being learned.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    surprise = 1 - torch.exp(-losses)
    return (((surprise if focus == 1 else surprise**focus) + 0.1) * losses * weights).mean()


def dice_pictures(logits: Tensor, targets: Tensor, *, counts: Tensor) -> Tensor:
    """Return soft Dice loss (Milletari et al., 3DV 2016), meaned over the pictures that count.

    ``logits``, ``targets``: (n, rows, cols); ``counts``: bool (n,). Each picture weighs the same, so that a thin scar
    weighs as much as a band of lost lines; a picture without a target has no Dice and never counts.
    """
    chance = logits.sigmoid()
    overlap = (chance * targets).sum(dim=(1, 2))
    size, truth = chance.sum(dim=(1, 2)), targets.sum(dim=(1, 2))
    dice = 1 - (2 * overlap + 1) / (size + truth + 1)
    present = ((truth > 0) & counts).float()
    return (present * dice).sum() / present.sum().clamp(min=1)


def faults_by_nature(logits: Tensor, artifact: Tensor, *, natures: Tensor, weights: Tensor, focus: float) -> Tensor:
    """Return focal cross-entropy plus Dice of the faults' outputs, one for each nature.

    ``logits`` (n, natures, rows, cols); ``artifact``, ``weights`` (n, rows, cols); ``natures`` (n,) indices, below 0
    where a picture's faults are of several. There no output is asked for the spoilt pixels alone, but the surest of
    them; all are asked for the sound ones. Pictures whose spoilt pixels weigh less than 1 have no part in Dice.
    """
    known = natures >= 0
    one_hot = functional.one_hot(natures.clamp(min=0), logits.shape[1]).to(logits) * known[:, None]
    wanted = one_hot[:, :, None, None] * artifact[:, None]
    mixed = (~known).to(logits)[:, None, None] * artifact
    any_of_them = logits.amax(dim=1)
    of_nature = logits[torch.arange(len(logits), device=logits.device), natures.clamp(min=0)]
    own = torch.where(known[:, None, None], of_nature, any_of_them)
    outputs = logits.shape[1]
    return (
        outputs * focal_pixels(logits, wanted, weights=(weights * (1 - mixed))[:, None], focus=focus)
        + focal_pixels(any_of_them, artifact, weights=weights * mixed, focus=focus)
    ) * CROSS_ENTROPY + dice_pictures(own, artifact, counts=weights.amin(dim=(1, 2)) >= 1)


def features(logits: Tensor, targets: Tensor, *, focus: float) -> Tensor:
    """Return focal cross-entropy plus Dice of the features' output, (n, rows, cols) each."""
    everywhere = torch.ones_like(targets)
    counts = torch.ones(len(targets), dtype=torch.bool, device=targets.device)
    entropy = focal_pixels(logits, targets, weights=everywhere, focus=focus)
    return CROSS_ENTROPY * entropy + dice_pictures(logits, targets, counts=counts)


def class_cells(logits: Tensor, classes: Tensor) -> Tensor:
    """Return cross-entropy of each cell's class, spoilt and sound cells weighing the same.

    ``logits`` (n, classes, rows / 4, cols / 4); ``classes`` (n, rows, cols) indices as floats. A cell is of the class
    of any spoilt pixel in it.
    """
    side = classes.shape[-1] // logits.shape[-1]
    wanted = functional.max_pool2d(classes[:, None], side)[:, 0].long()
    losses = functional.cross_entropy(logits, wanted, reduction="none")
    spoilt = (wanted > 0).float()
    sound = 1 - spoilt
    return ((losses * spoilt).sum() / (spoilt.sum() + 1) + (losses * sound).sum() / (sound.sum() + 1)) / 2
