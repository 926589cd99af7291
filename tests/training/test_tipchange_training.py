"""Learning which lines another tip drew: answers follow the masks, mirroring is exact, what is sealed is the same."""

import numpy as np
import pytest

from afmd.inference import load_manifest, planes, tipchange
from afmd.inference.tipchange import Limits, TipChange
from afmd.training.arguments import PRESETS
from afmd.training.config import Corpus, Optimiser, TipChangeNet, Training, load
from afmd.training.corpus import TIP_CHANGES, gather, open_example
from afmd.training.evaluate import scan_of
from afmd.training.export import TOLERANCE
from afmd.training.supply import supplied
from afmd.training.tasks import task_for
from afmd.training.tipchangenet import CHANGES, KINDS
from afmd.training.tipchangeseal import seal_tipchange
from afmd.training.tipchangetask import answers_of, fitted_limits, judged, lines_of, mirrored
from afmd.training.train import BEST, train

RULE = Optimiser(batch=4, steps=4, validate_every=2, warm_up_steps=1, mixed_precision=False)


def silent(_line: str) -> None:
    pass


@pytest.fixture
def configuration() -> Training:
    corpus = Corpus(training=12, validation=6, tip_changes=4)
    net = TipChangeNet(width=8)
    return Training(name="tiny", model="tipchange", seed=3, tipchange=net, optimiser=RULE, corpus=corpus)


def test_scans_whose_tip_changes_are_supplied_beside_the_others(configuration, corpus):
    entries = supplied(configuration, "training", folder=corpus)

    assert len(entries) == 16
    assert [entry.kinds for entry in entries[12:]] == [("tip_change",), ("debris_pickup",)] * 2


def test_the_answers_are_the_lines_between_the_first_spoilt_one_and_the_last(corpus):
    entry = gather(corpus, "training", 1, recipe=TIP_CHANGES, skip=600_000)[0]
    spoilt = np.zeros(50, np.float32)
    spoilt[[10, 30]] = 0.5

    answers = answers_of(entry, spoilt)

    assert answers[0, CHANGES[0]].nonzero()[0].tolist() == list(range(10, 31))
    assert answers[0].sum() == 21
    assert len(KINDS) == answers.shape[1]


def test_mirrored_lines_are_those_of_the_mirrored_scan(training):
    scan = scan_of(open_example(training[0]), alone=True)
    forth, back = (
        tipchange.line_numbers(planes.segmenter_planes(np.ascontiguousarray(heights)))
        for heights in (scan.heights, scan.heights[::-1])
    )

    found = mirrored(np.concatenate([forth, forth[:1]]))[:-1]

    apart = np.abs(found - back)[:, 8:-8]
    assert np.median(apart, axis=1).max() < 0.05


def test_a_batch_is_a_function_of_seed_and_step(configuration, corpus):
    entries = supplied(configuration, "training", folder=corpus)

    one, two = (task_for(configuration).batch(entries, 5) for _ in range(2))

    np.testing.assert_array_equal(one.planes, two.planes)
    np.testing.assert_array_equal(one.answers, two.answers)
    assert one.planes.shape[:2] == (4, tipchange.CHANNELS)
    assert one.answers.shape[1:3] == (2, len(KINDS))


def test_limits_are_fitted_to_what_they_are_worth():
    rng = np.random.default_rng(0)
    truth = np.zeros(100, bool)
    truth[30:60] = True
    spoilt = [(np.where(truth, 2.0, -5.0) + rng.normal(0, 0.2, 100), truth) for _ in range(4)]
    sound = [(np.where(truth, -1.0, -4.0) + rng.normal(0, 0.2, 100), None) for _ in range(4)]

    found, false = judged([*spoilt, *sound], fitted_limits([*spoilt, *sound]))

    assert found > 0.95
    assert false == 0
    assert judged(sound + spoilt, Limits(-3.0, 1.0))[1] > 0.2


def test_what_is_sealed_says_what_was_trained(configuration, corpus, tmp_path):
    entries, seen = (supplied(configuration, part, folder=corpus) for part in ("training", "validation"))
    run = tmp_path / "run"
    train(configuration, run=run, training=entries, validation=seen, say=silent)
    assert (run / BEST).exists()

    seal_tipchange(configuration, run, tmp_path / "weights", validation=seen, command="afmd train tipchange")

    model = load_manifest(tmp_path / "weights").model("tipchange")
    assert model.facts["parity"] <= TOLERANCE
    assert model.facts["training"]["command"] == "afmd train tipchange"
    lines = TipChange(model).changed(planes.segmenter_planes(open_example(seen[0]).heights))
    assert lines is None or lines.shape == (open_example(seen[0]).heights.shape[0],)
    assert lines_of(seen[0]).shape[0] == tipchange.NUMBERS + 1


def test_the_preset_is_whole():
    configuration = load(PRESETS / "tipchange.toml")

    assert configuration.model == "tipchange"
    assert configuration.corpus.tip_changes > 0
