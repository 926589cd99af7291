"""What is made small. Rule: every loss is a mean, so that its size does not depend on the batch or the crop."""

import torch
from torch import Tensor
from torch.nn import functional


def focal_classes(
    logits: Tensor, labels: Tensor, *, focus: float, smoothing: float, weights: Tensor | None = None
) -> Tensor:
    """Return the focal loss over classes (Lin et al., ICCV 2017, eq. 5), with smoothed labels and class weights.

    ``logits`` (n, classes); ``labels`` (n,) integers; ``weights`` (classes,) or None for equal ones.
    """
    losses = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    sure = logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    scale = (1 - sure) ** focus
    if weights is not None:
        scale = scale * weights[labels]
    return (scale * losses).mean()


def focal_dice_pixels(logits: Tensor, targets: Tensor, *, weights: Tensor, focus: float) -> Tensor:
    """Return focal cross-entropy plus soft Dice (Milletari et al., 3DV 2016), meaned over both outputs.

    ``logits``, ``targets``: (n, 2, rows, cols); targets 0 or 1. ``weights``: (n, rows, cols), of the first output.
    Dice is taken over each picture that holds its class, so that a thin scar weighs as much as a band of lost lines;
    empty pictures, and those whose spoilt pixels weigh less than 1, are left to the cross-entropy.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    surprise = 1 - torch.exp(-losses)
    scale = torch.stack([weights, torch.ones_like(weights)], dim=1)
    cross_entropy = ((surprise**focus + 0.1) * losses * scale).mean()
    chance = logits.sigmoid()
    overlap = (chance * targets).sum(dim=(2, 3))
    size, truth = chance.sum(dim=(2, 3)), targets.sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (size + truth + 1)
    present = ((truth > 0) & (scale.amin(dim=(2, 3)) >= 1)).float()
    return 4 * cross_entropy + (present * dice).sum() / present.sum().clamp(min=1)


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
