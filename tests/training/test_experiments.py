"""Leave one kind out, and the ceiling: what is left out is left out, and what is made is not made twice."""

import json
from pathlib import Path

import numpy as np
import pytest

from afmd.domain.findings import Label
from afmd.errors import InvalidInput, WrongState
from afmd.inference import load_manifest
from afmd.training import experiments, leave_one_out
from afmd.training.arguments import KINDS_LEFT_OUT
from afmd.training.ceiling import ceiling, raised
from afmd.training.config import EVALUATION_FROM, ClassifierNet
from afmd.training.corpus import open_example
from afmd.training.experiments import Bench
from afmd.training.frontier import frontier
from afmd.training.leave_one_out import shortened, stood_upon, visible
from afmd.training.supply import supplied, without
from afmd.training.tables import write_json
from afmd.twin import KINDS


@pytest.fixture
def said():
    return []


@pytest.fixture
def bench(tmp_path, corpus, said):
    return Bench(tmp_path / "out", corpus, "afmd evaluate", say=said.append)


@pytest.fixture
def short(segmenter):
    return shortened(segmenter, steps=2, training=12, validation=4)


def test_what_is_left_out_is_in_no_scan_not_even_as_a_speck(training):
    kinds = {kind for entry in training for kind in entry.kinds}
    assert kinds, "the corpus must hold artefacts"
    for kind in kinds:
        left = without(training, (kind,))
        assert left
        assert all(kind not in entry.kinds for entry in left)
        assert not any(open_example(e).artifact.any() for e in left if e.label is Label.GOOD)


def test_a_short_training_does_not_begin_where_every_kind_was_seen(segmenter):
    begun = segmenter.optimiser.model_copy(update={"start": Path("runs/segmenter-first/best.pt")})
    later_stage = segmenter.model_copy(update={"optimiser": begun})

    assert shortened(later_stage, steps=2, training=5, validation=3).optimiser.start is None
    asked = shortened(later_stage, steps=2, training=5, validation=3, start=Path("blank.pt"))
    assert asked.optimiser.start == Path("blank.pt")


def test_a_configuration_supplies_its_own_numbers_and_recipe(segmenter, corpus):
    wanted = shortened(segmenter, steps=2, training=5, validation=3)

    assert [entry.seed for entry in supplied(wanted, "training", folder=corpus)] == list(range(5))
    assert len(supplied(wanted, "validation", folder=corpus)) == 3


def test_leaving_a_kind_out_writes_a_table_of_both(short, bench, said, monkeypatch):
    monkeypatch.setattr(leave_one_out, "TRIES", 40)
    file = leave_one_out.leave_one_out([short], ("lost_lines", "burst"), bench, scans=2)

    text = file.read_text(encoding="utf-8")
    told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert [pair["kind"] for pair in told["kinds"]] == ["lost_lines", "burst"]
    assert text.count("| lost_lines | 2 |") == 1
    for pair in told["kinds"]:
        change = pair["unseen"]["iou"]["value"] - pair["seen"]["iou"]["value"]
        assert pair["difference"]["iou"]["value"] == pytest.approx(change, abs=1e-6)
        assert pair["difference"]["iou"]["count"] == 2
        low, high = pair["trainings"]["iou"]
        assert low <= pair["seen"]["iou"]["value"] <= high
    folders = sorted((bench.out / "weights").iterdir())
    assert [folder.name.rsplit("-", 1)[0] for folder in folders] == ["with-all", "without-burst", "without-lost-lines"]
    facts = load_manifest(folders[1]).model("segmenter").facts["training"]
    assert json.loads(facts["configuration"])["corpus"]["without"] == ["burst"]


class Fixed:
    """Finds the same share everywhere."""

    def __init__(self, share):
        self.share = share

    def figures(self, _one):
        return {"iou": self.share, "found": self.share}


def test_a_kind_is_judged_against_the_mean_of_all_trainings_that_saw_it(monkeypatch):
    monkeypatch.setattr(leave_one_out, "visible", lambda _kind, count: range(count))
    judges = {"": Fixed(0.6), "burst": Fixed(0.1), "scar": Fixed(0.8)}

    pair = leave_one_out.judged("burst", judges, scans=4)

    assert pair.seen["iou"].value == pytest.approx(0.7)
    assert pair.trainings["iou"] == pytest.approx((0.6, 0.8))
    assert pair.unseen["iou"].value == pytest.approx(0.1)
    assert pair.difference["iou"].value == pytest.approx(-0.6)


def test_what_is_sealed_is_not_trained_again(short, bench, said, monkeypatch):
    monkeypatch.setattr(leave_one_out, "TRIES", 40)
    first = leave_one_out.leave_one_out([short], ("burst",), bench, scans=2).read_text(encoding="utf-8")
    monkeypatch.setattr(experiments, "train", lambda *_, **__: 1 / 0)

    again = leave_one_out.leave_one_out([short], ("burst",), bench, scans=2).read_text(encoding="utf-8")

    assert again == first


def test_other_steps_are_another_training(segmenter, bench):
    folders = {bench.folder("with-all", [shortened(segmenter, steps=n, training=12, validation=4)]) for n in (2, 3)}

    assert len(folders) == 2


def test_a_classifier_is_taught_on_each_segmenter_on_scans_that_it_never_saw(short, classifier, bench, monkeypatch):
    monkeypatch.setattr(leave_one_out, "TRIES", 40)
    rule = classifier.optimiser.model_copy(update={"steps": 5, "batch": 8})
    head = classifier.model_copy(update={"classifier": ClassifierNet(kind="head", width=8), "optimiser": rule})
    own = stood_upon(short, head)
    assert own.corpus.skip == short.corpus.training

    file = leave_one_out.leave_one_out([short, own], ("burst",), bench, scans=2)

    (pair,) = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["kinds"]
    assert 0 <= pair["unseen"]["right"]["value"] <= 1
    assert "class right without it" in file.read_text(encoding="utf-8")


def test_a_kind_that_does_not_exist_is_refused_before_any_training(short, bench):
    with pytest.raises(InvalidInput, match="gremlin"):
        leave_one_out.leave_one_out([short], ("burst", "gremlin"), bench, scans=2)

    assert not bench.out.exists()


def test_scans_to_judge_on_show_the_kind_and_nothing_else(monkeypatch):
    found = list(visible("lost_lines", 3))

    assert len(found) == 3
    assert all(one.visible and one.kinds == ("lost_lines",) for one in found)
    assert min(one.parameters["seed"] for one in found) >= EVALUATION_FROM


def test_the_kinds_left_out_unasked_are_of_every_class():
    assert {KINDS[kind] for kind in KINDS_LEFT_OUT} == set(Label) - {Label.GOOD}


def test_the_ceiling_learns_the_evaluation_s_distribution_and_none_of_its_scans(segmenter, bench, tmp_path):
    own = raised(segmenter, steps=2, training=6, validation=2)
    assert own.corpus.recipe == "evaluation"
    seeds = [e.seed for part in ("training", "validation") for e in supplied(own, part, folder=bench.corpus)]
    assert max(seeds) < EVALUATION_FROM

    file = ceiling(own, bench, weights=tmp_path / "none", scans=3)

    text = file.read_text(encoding="utf-8")
    told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert "# The ceiling of tiny-segmenter" in text
    assert set(told["ceiling"]) == {line.split("|")[1].strip() for line in text.splitlines()[4:]}
    assert told["reached"] == {}
    assert (bench.out / "ceiling" / "segmenter_failures.png").exists()


def test_the_ceiling_stands_beside_what_was_reached(segmenter, bench):
    own = raised(segmenter, steps=2, training=6, validation=2)
    bench.made(own, bench.out / "weights")

    file = ceiling(own, bench, weights=bench.out / "weights", scans=3)

    told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert told["reached"] == told["ceiling"]
    assert "| +0.000 |" in file.read_text(encoding="utf-8")


def test_a_head_has_no_ceiling_before_its_segmenter_has_one(classifier, bench, tmp_path):
    head = classifier.model_copy(update={"classifier": ClassifierNet(kind="head", width=8)})

    with pytest.raises(WrongState, match="a head stands on a segmenter"):
        ceiling(raised(head, steps=2, training=4, validation=2), bench, weights=tmp_path, scans=2)


def test_the_ceiling_of_a_shipped_preset_changes_nothing_but_its_scans(segmenter):
    own = raised(segmenter, steps=None, training=None, validation=None)

    assert own.optimiser == segmenter.optimiser
    assert own.corpus == segmenter.corpus.model_copy(update={"recipe": "evaluation"})


def test_experiments_learn_from_the_twins_own_scans_alone(segmenter):
    corpus = segmenter.corpus.model_copy(update={"planted": 4, "second": 4})
    planted = segmenter.model_copy(update={"corpus": corpus})

    for own in (
        raised(planted, steps=2, training=6, validation=2),
        shortened(planted, steps=2, training=12, validation=4),
    ):
        assert own.corpus.planted == own.corpus.second == 0


def test_numbers_that_json_has_not_become_null(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"x": [np.nan, 1.0], "y": (float("inf"),)})

    assert json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8")) == {"x": [None, 1.0], "y": [None]}


def test_widths_are_taught_alike_and_stand_in_one_table(short, bench):
    file = frontier(short, (4, 8), bench, scans=8)

    told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert told["widths"] == [4, 8]
    assert all(ms > 0 for ms in told["ms"])
    assert list(told["figures"][0]) == list(told["figures"][1])
    models = [load_manifest(folder).model("segmenter") for folder in sorted((bench.out / "weights").iterdir())]
    taught = {model.name: json.loads(model.facts["training"]["configuration"]) for model in models}
    assert sorted(one["segmenter"]["width"] for one in taught.values()) == [4, 8]
    assert len({(one["seed"], one["optimiser"]["steps"], one["corpus"]["training"]) for one in taught.values()}) == 1
    assert file.read_text(encoding="utf-8").count("\n| 4 |") == 1
