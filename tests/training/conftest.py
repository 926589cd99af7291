"""Tiny configurations and a tiny corpus, made once."""

import pytest

from afmd.training.config import ClassifierNet, Corpus, Optimiser, SegmenterNet, Training
from afmd.training.corpus import gather

RULE = Optimiser(batch=4, steps=6, validate_every=3, warm_up_steps=2, mixed_precision=False)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The cache folder with twelve small training and four validation scans."""
    folder = tmp_path_factory.mktemp("corpus")
    gather(folder, "training", 12, recipe="training")
    gather(folder, "validation", 4, recipe="training")
    return folder


@pytest.fixture(scope="session")
def training(corpus):
    return gather(corpus, "training", 12, recipe="training")


@pytest.fixture(scope="session")
def validation(corpus):
    return gather(corpus, "validation", 4, recipe="training")


@pytest.fixture
def segmenter() -> Training:
    net = SegmenterNet(width=4, crops=((64, 64), (32, 128)))
    return Training(name="tiny-segmenter", model="segmenter", seed=3, segmenter=net, optimiser=RULE, corpus=Corpus())


@pytest.fixture
def classifier() -> Training:
    return Training(
        name="tiny-classifier", model="classifier", seed=3, classifier=ClassifierNet(width=4), optimiser=RULE
    )
