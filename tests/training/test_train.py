"""Training: a kill changes nothing, and a wrong resume is refused."""

import json

import pytest
import torch

from afmd.errors import ModelError, SettingsError, WrongState
from afmd.training import train as loops
from afmd.training.config import load
from afmd.training.train import BEST, CHECKPOINT, HISTORY, train


class Killed(Exception):
    pass


def silent(_line: str) -> None:
    pass


def weights(run) -> dict[str, torch.Tensor]:
    return torch.load(run / CHECKPOINT, weights_only=True)["net"]


@pytest.mark.parametrize("model", ["segmenter", "classifier"])
def test_a_killed_training_ends_as_if_it_had_never_been_killed(
    model, request, tmp_path, training, validation, monkeypatch
):
    configuration = request.getfixturevalue(model)
    train(configuration, run=tmp_path / "whole", training=training, validation=validation, say=silent)
    monkeypatch.setattr(loops, "CHECKPOINT_EVERY_S", -1.0)
    step = loops._Loop.step

    def killed_after_four(self, batch):
        if self.progress.step == 4:
            raise Killed
        return step(self, batch)

    monkeypatch.setattr(loops._Loop, "step", killed_after_four)
    with pytest.raises(Killed):
        train(configuration, run=tmp_path / "killed", training=training, validation=validation, say=silent)
    monkeypatch.setattr(loops._Loop, "step", step)

    train(configuration, run=tmp_path / "killed", training=training, validation=validation, resume=True, say=silent)

    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_history_tells_every_validation(segmenter, tmp_path, training, validation):
    train(segmenter, run=tmp_path, training=training, validation=validation, say=silent)

    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert {"loss", "score", "artifact_iou", "feature_iou", "false_area"} <= set(lines[0])
    assert (tmp_path / BEST).exists()


def test_a_run_that_holds_a_training_is_not_overwritten(segmenter, tmp_path, training, validation):
    train(segmenter, run=tmp_path, training=training, validation=validation, say=silent)

    with pytest.raises(WrongState, match="holds a training already"):
        train(segmenter, run=tmp_path, training=training, validation=validation, say=silent)


def test_a_checkpoint_of_another_network_is_refused(segmenter, tmp_path, training, validation):
    train(segmenter, run=tmp_path, training=training, validation=validation, say=silent)
    wider = segmenter.model_copy(update={"segmenter": segmenter.segmenter.model_copy(update={"width": 8})})

    with pytest.raises(ModelError, match="not of this configuration"):
        train(wider, run=tmp_path, training=training, validation=validation, resume=True, say=silent)


def test_learning_lowers_the_loss_of_a_batch_seen_again(segmenter, training):
    loop = loops._Loop(segmenter, loops.task_for(segmenter), None, training)
    batch = loop.task.batch(training, 0)
    first = loop.step(batch)
    for _ in range(12):
        loop.progress.step = 3
        last = loop.step(batch)

    assert last < first


def test_patience_ends_a_training(segmenter, tmp_path, training, validation, monkeypatch):
    impatient = segmenter.model_copy(
        update={"optimiser": segmenter.optimiser.model_copy(update={"patience": 1, "steps": 60, "validate_every": 1})}
    )
    monkeypatch.setattr(loops.task_for(segmenter).__class__, "judge", lambda *_: {"score": 1.0})

    train(impatient, run=tmp_path, training=training, validation=validation, say=silent)

    assert len((tmp_path / HISTORY).read_text().splitlines()) == 2


def test_the_published_rule_unfreezes_and_then_lowers_its_rate(classifier, tmp_path):
    rule = classifier.optimiser.model_copy(update={"rule": "sgd", "plateau": 1, "learning_rate": 1e-4})
    loop = loops._Loop(classifier.model_copy(update={"optimiser": rule}), loops.task_for(classifier), tmp_path, [])
    loop.gradual = True
    loop.unfreeze()
    learning = [{n.split(".")[0] for n, p in loop.net.named_parameters() if p.requires_grad}]
    for _ in range(3):
        loop.plateau()
        learning.append({n.split(".")[0] for n, p in loop.net.named_parameters() if p.requires_grad})
    for _ in range(4):
        loop.plateau()

    assert learning[0] == {"fc", "layer4"}
    assert learning[1] == {"fc", "layer4", "layer3"}
    assert loop.rate() < 1e-4


@pytest.mark.parametrize("preset", ["segmenter", "classifier", "resnet18", "published"])
def test_the_presets_are_sound(preset):
    from pathlib import Path

    assert load(Path(loops.__file__).parent / "presets" / f"{preset}.toml").name


def test_an_unknown_key_is_named(tmp_path):
    (tmp_path / "a.toml").write_text('name = "a"\nmodel = "segmenter"\n[optimiser]\nspeed = 3\n')

    with pytest.raises(SettingsError, match=r"optimiser\.speed"):
        load(tmp_path / "a.toml")
