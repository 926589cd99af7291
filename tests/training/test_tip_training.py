"""Teaching a network to undo a tip: the loss knows the truth, a kill changes nothing, what is sealed is the same."""

import numpy as np
import pytest
import torch

from afmd.domain.tip import Tip
from afmd.errors import ModelError
from afmd.inference import load_manifest
from afmd.inference.deconvolution import network_deconvolver
from afmd.science.tip.planes import RECIPE, tip_view
from afmd.training import tipscores
from afmd.training.arguments import PRESETS
from afmd.training.config import Corpus, Optimiser, TipNet, Training, load
from afmd.training.export import TOLERANCE
from afmd.training.tasks import task_for
from afmd.training.tipcorpus import gather_pairs, open_pair
from afmd.training.tipseal import seal_tip
from afmd.training.tiptask import forward_loss, low_error, raw_heights, whole_pair
from afmd.training.train import CHECKPOINT, train
from afmd.twin.pairs import pair, paper_b

RULE = Optimiser(batch=3, steps=4, validate_every=2, warm_up_steps=1, mixed_precision=False)


def silent(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="module")
def training(folder):
    return gather_pairs(folder, "training", 6, recipe="training")


@pytest.fixture(scope="module")
def validation(folder):
    return gather_pairs(folder, "validation", 2, recipe="training")


@pytest.fixture
def configuration() -> Training:
    net = TipNet(widths=(4, 6), crop=64, low=1.0, rough=0.3)
    return Training(name="tiny-tip", model="tip", seed=3, tip=net, optimiser=RULE, corpus=Corpus())


def test_the_loss_of_the_truth_is_the_least(configuration, training):
    task = task_for(configuration)
    batch = task.batch(training, 0)
    truth = torch.stack([batch.answers[:, 0], torch.full_like(batch.answers[:, 0], -5.0)], dim=1)

    best = task.loss(truth, batch.answers)

    for wrong in (truth + torch.tensor([0.1, 0.0])[None, :, None, None], truth * 0.9):
        assert task.loss(wrong, batch.answers) > best


def test_what_the_tip_cannot_feel_costs_nothing_forward(training):
    answers = torch.from_numpy(np.stack([whole_pair(open_pair(e))[1] for e in training[:2]]))
    truth = answers[:, 0]

    assert forward_loss(truth, answers) == 0
    assert forward_loss(truth - 0.5, answers) == pytest.approx(0.5, rel=0.05)


def test_low_errors_count_at_the_foot_more_than_at_the_top():
    height = torch.tensor([[[0.0, 2.0]]])
    truth = torch.zeros_like(height)

    foot, top = low_error(truth - 0.1, truth, height=height)[0, 0]

    assert foot > 5 * top


def test_a_batch_follows_from_seed_and_step(configuration, training):
    task = task_for(configuration)

    assert torch.equal(task.batch(training, 5).planes, task.batch(training, 5).planes)
    assert not torch.equal(task.batch(training, 5).planes, task.batch(training, 6).planes)


def test_raw_heights_are_the_pairs_own():
    made = pair(0, recipe=paper_b("domes"))
    from afmd.training.tipcorpus import prepared

    image, surface = raw_heights(prepared(made))

    if not prepared(made).stack[5].any():
        np.testing.assert_allclose(image, made.image, atol=1e-3)
    np.testing.assert_allclose(surface, made.surface, atol=1e-3)


def test_a_killed_training_of_the_tip_ends_as_if_it_had_never_been_killed(
    configuration, tmp_path, training, validation
):
    train(configuration, run=tmp_path / "whole", training=training, validation=validation, say=silent)
    half = configuration.model_copy(update={"optimiser": RULE.model_copy(update={"steps": 2, "decay": False})})
    same = configuration.model_copy(update={"optimiser": RULE.model_copy(update={"decay": False})})
    train(same, run=tmp_path / "through", training=training, validation=validation, say=silent)

    train(half, run=tmp_path / "killed", training=training, validation=validation, say=silent)
    train(same, run=tmp_path / "killed", training=training, validation=validation, resume=True, say=silent)

    through, killed = (torch.load(tmp_path / r / CHECKPOINT, weights_only=True)["net"] for r in ("through", "killed"))
    assert all(torch.equal(through[name], killed[name]) for name in through)


def test_a_sealed_tip_is_what_the_daemon_takes(configuration, tmp_path, training, validation):
    run, weights = tmp_path / "run", tmp_path / "weights"
    train(configuration, run=run, training=training, validation=validation, say=silent)

    seal_tip(configuration, run, weights, validation=validation, command="afmd train tip")

    facts = load_manifest(weights).model("tip").facts
    assert facts["parity"] < TOLERANCE
    assert facts["training"]["seed"] == 3
    network = network_deconvolver(weights, look=tip_view, recipe=RECIPE)
    surface, *_ = network.restored(np.zeros((40, 50), np.float32), pixel_nm=(1.0, 1.0), tip=Tip(10.0))
    assert surface.shape == (40, 50)


@pytest.mark.parametrize("kind", ["published-mse", "published-mae"])
def test_the_published_network_is_trained_and_never_sealed(kind, configuration, folder, tmp_path):
    pairs = gather_pairs(folder, "training", 3, recipe="paper_b")
    own = configuration.model_copy(update={"tip": TipNet(kind=kind, pairs="paper_b")})

    train(own, run=tmp_path / "run", training=pairs, validation=pairs[:1], say=silent)

    with pytest.raises(ModelError, match="to compare with"):
        seal_tip(own, tmp_path / "run", tmp_path / "weights", validation=pairs, command="")


@pytest.mark.parametrize("name", ["tip", "tip-first", "tip-published-mse", "tip-published-mae"])
def test_every_preset_loads(name):
    assert load(PRESETS / f"{name}.toml").model == "tip"


def test_the_true_surface_has_no_error_and_a_wider_one_has():
    made = pair(7, recipe=paper_b("cuboids"))
    bodies = tipscores.particles(made.surface, margin_px=20)

    assert bodies.whole.any()
    for share in (tipscores.HALF, tipscores.TENTH):
        assert tipscores.area_errors(made.surface, made.surface, bodies, share=share).max() == 0
        assert tipscores.area_errors(made.image, made.surface, bodies, share=share).min() > 100


def test_contours_of_a_shifted_surface_are_as_far_as_the_shift():
    across = np.broadcast_to(np.linspace(-10, 10, 101, dtype=np.float32), (60, 101))
    moved = np.roll(across, 3, axis=1)

    assert tipscores.contour_distance(across, across, levels_nm=(0.0,), pixel_nm=1.0) == 0
    assert tipscores.contour_distance(moved[:, 3:], across[:, 3:], levels_nm=(0.1,), pixel_nm=2.0) == pytest.approx(6)


def test_coverage_counts_what_the_interval_holds():
    surface = np.zeros((100, 100), np.float32)
    found = np.random.default_rng(0).normal(0, 2, surface.shape).astype(np.float32)

    assert tipscores.coverage(found, np.full_like(found, 2.0), surface) == pytest.approx(0.9, abs=0.01)
