"""One TOML file and one seed make one model: the frozen classes behind a training configuration.

Rule: whatever changes the weights stands here; where files lie and how many threads run does not.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from afmd.errors import SettingsError

VALIDATION_FROM = 5_000_000
EVALUATION_FROM = 10_000_000
"""Seeds: training below the first, validation between, evaluation from the second on."""

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Corpus(_Table):
    """Which simulated scans: as many of each as stand here, by consecutive seeds. ``without``: kinds left out.

    ``skip``: training seeds passed over first, because a network below has learned from them.
    """

    training: Count = 6000
    skip: Annotated[int, Field(ge=0)] = 0
    validation: Count = 400
    planted: Annotated[int, Field(ge=0)] = 0
    """Training scans with planted faults, beside those; for validation as many in proportion."""
    tip_changes: Annotated[int, Field(ge=0)] = 0
    """Training scans with a tip that changes, beside those, and for validation as many in proportion."""
    second: Annotated[int, Field(ge=0)] = 0
    """Training scans of the second microscope, beside those, and for validation as many in proportion."""
    without: tuple[str, ...] = ()
    recipe: Literal["training", "evaluation"] = "training"
    """``evaluation`` trains on the evaluation set's own distribution (never its seeds): the ceiling."""


class ClassifierNet(_Table):
    """A head on what the segmenter saw, or ResNet-18 on pooled planes.

    ``width``: hidden units of the head, or ResNet-18's first channels (64 is the published width).
    ``imagenet``: file of published weights for a ResNet-18, or None for a random start.
    """

    kind: Literal["head", "resnet18"] = "resnet18"
    width: Count = 32
    dropout: Share = 0.2
    imagenet: Path | None = None
    grey: bool = False
    """True: one plane three times, as published; False: the three pooled planes."""


class SegmenterNet(_Table):
    """Width of the light U-Net's first level, and its two choices."""

    width: Count = 16
    separable: bool = False
    strips: bool = True
    crops: tuple[tuple[Count, Count], ...] = ((256, 256), (128, 512))


class TipChangeNet(_Table):
    """Channels of the network that looks along the lines."""

    width: Count = 32


class TipNet(_Table):
    """What undoes a tip: ``conditioned`` on the tip, or paper B's encoder-decoder on raw heights with either loss.

    ``pairs``: of which virtual data (`afmd.twin.pairs`).
    """

    kind: Literal["conditioned", "published-mse", "published-mae"] = "conditioned"
    widths: tuple[Count, ...] = (32, 40, 48, 48)
    crop: Count = 128
    pairs: Literal["training", "paper_b"] = "training"
    low: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the errors at the feet of features, beside those of all heights."""
    rough: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the error of a crop's mean roughness, which the most likely surface is too smooth for."""


class Optimiser(_Table):
    """How the weights move: ``adamw`` over one cosine, or ``sgd`` with the plateau rule and unfreezing of paper A."""

    rule: Literal["adamw", "sgd"] = "adamw"
    start: Path | None = None
    """Weights of an earlier stage (``best.pt``), or a sealed ONNX file, to begin from; None begins at random."""
    decay: bool = True
    """False keeps the rate after warming up: for a stage that another will finish."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    momentum: Share = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    warm_up_steps: Annotated[int, Field(ge=0)] = 200
    batch: Count = 16
    steps: Count = 10_000
    validate_every: Count = 500
    patience: Count = 100
    """Validations without gain before stopping."""
    plateau: Count = 3
    """Validations without gain before ``sgd`` divides its rate by ten and unfreezes the next block."""
    averaging: Share = 0.998
    """Decay of the running mean of the weights, which is what is kept; 0 keeps the last ones."""
    focus: Annotated[float, Field(ge=0)] = 2.0
    """Exponent of the focal loss (Lin et al., ICCV 2017)."""
    smoothing: Share = 0.05
    """Share of a label spread over the other classes."""
    mixed_precision: bool = True


class Training(_Table):
    """The whole configuration."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    model: Literal["classifier", "segmenter", "tipchange", "tip"]
    seed: Annotated[int, Field(ge=0)] = 0
    corpus: Corpus = Corpus()
    classifier: ClassifierNet = ClassifierNet()
    segmenter: SegmenterNet = SegmenterNet()
    tipchange: TipChangeNet = TipChangeNet()
    tip: TipNet = TipNet()
    optimiser: Optimiser = Optimiser()
    retrace_dropout: Share = 0.5
    """How often the opposite pass is withheld, so that one pass alone still works."""


def load(file: Path) -> Training:
    """Read a training configuration. Raises ``SettingsError`` naming the key."""
    try:
        return Training.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as e:
        raise SettingsError(f"configuration {file}", why=e.strerror or str(e), mend="Give a readable file") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"configuration {file}", why=str(e), mend="Mend the TOML syntax") from e
    except ValidationError as e:
        first = e.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        raise SettingsError(f"configuration {file}, {key}", why=first["msg"], mend="See the module's classes") from e
