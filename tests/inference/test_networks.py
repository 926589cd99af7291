"""What the networks say through the ports, and what happens when their weights are not in order."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.errors import ModelError
from afmd.inference import load_manifest, network_classifier, network_segmenter, planes, sessions, weights_folder
from afmd.inference.manifest import MANIFEST
from afmd.inference.sessions import shared_session


def scan(rows: int = 90, cols: int = 130) -> Scan:
    rng = np.random.default_rng(rows)
    heights = np.cumsum(rng.normal(size=(rows, cols)), axis=1)
    return Scan.from_heights(heights, retrace=heights + rng.normal(0, 0.1, heights.shape), pixel_nm=2.0)


def copy_of(weights, tmp_path):
    return shutil.copytree(weights, tmp_path / "weights")


def test_the_classifier_gives_probabilities_of_all_four_labels(weights):
    said = network_classifier(weights).classify(scan())

    assert set(said.probabilities) == set(Label)
    assert sum(said.probabilities.values()) == pytest.approx(1)
    assert said.probabilities[said.label] == max(said.probabilities.values())
    assert said.backend.name == "tiny-classifier"
    assert said.backend.version == load_manifest(weights).model("classifier").sha256


def test_the_classifier_abstains_below_its_threshold(weights):
    said = network_classifier(weights).classify(scan())

    assert said.abstained == (max(said.probabilities.values()) < 0.5)


def test_a_higher_temperature_flattens_the_probabilities(weights, tmp_path):
    folder = copy_of(weights, tmp_path)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("temperature = 1.5", "temperature = 150.0"))

    sharp, flat = (network_classifier(f).classify(scan()).probabilities for f in (weights, folder))

    assert max(flat.values()) < max(sharp.values())
    assert max(flat.values()) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("shape", [(2, 3), (90, 130), (700, 300)])
def test_the_segmenter_gives_two_probabilities_for_every_pixel(weights, shape):
    found = network_segmenter(weights).segment(scan(*shape))

    for chance in (found.artifact, found.feature):
        assert chance.shape == shape
        assert chance.dtype == np.float32
        assert chance.min() >= 0
        assert chance.max() <= 1


def test_cuts_temperature_and_bias_act_as_written(weights):
    model = load_manifest(weights).model("segmenter")
    taken = scan(64, 64)
    logits = shared_session(model).run(planes.segmenter_planes(taken.heights, taken.retrace)[None])[0]

    found = network_segmenter(weights).segment(taken)

    best = np.max([logits[0], logits[1] - 1, logits[2] + 0.5, logits[3] - 30], axis=0)
    np.testing.assert_allclose(found.artifact, 1 / (1 + np.exp(-(best + 0.5))), atol=1e-5)
    np.testing.assert_allclose(found.feature, 1 / (1 + np.exp(-logits[4] / 2)), atol=1e-5)


def test_threads_that_share_a_session_get_the_same_answer(weights):
    segmenter, taken = network_segmenter(weights), scan(200, 200)
    alone = segmenter.segment(taken).artifact

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: segmenter.segment(taken).artifact, range(8)))

    for answer in together:
        np.testing.assert_array_equal(answer, alone)


def test_after_a_rest_a_network_says_what_it_said_before(weights):
    network, own = network_segmenter(weights), scan(300, 400)
    before = network.segment(own)

    sessions.rest()
    sessions.rest()

    np.testing.assert_array_equal(network.segment(own).artifact, before.artifact)


def test_a_network_says_the_same_of_a_scan_whatever_shape_it_saw_between(weights):
    network, own = network_segmenter(weights), scan(96, 160)
    before = network.segment(own)

    assert network.segment(scan(160, 96)).artifact.shape == (160, 96)

    np.testing.assert_array_equal(network.segment(own).artifact, before.artifact)


def test_threads_that_see_different_shapes_do_not_get_in_each_others_way(weights):
    segmenter, scans = network_segmenter(weights), [scan(64, 96), scan(96, 64), scan(128, 64)]
    alone = [segmenter.segment(one).artifact for one in scans]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: segmenter.segment(one).artifact, scans * 4))

    for found, expected in zip(together, alone * 4, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_one_session_serves_all_who_ask_for_the_same_weights(weights):
    model = load_manifest(weights).model("classifier")

    assert shared_session(model) is shared_session(load_manifest(weights).model("classifier"))


def test_a_changed_file_is_refused_with_both_hashes(weights, tmp_path):
    folder = copy_of(weights, tmp_path)
    model = load_manifest(folder).model("segmenter")
    content = bytearray(model.file.read_bytes())
    content[len(content) // 2] ^= 1
    model.file.write_bytes(content)

    with pytest.raises(ModelError, match=r"SHA-256 is .* and the manifest says"):
        model.read()


def test_a_missing_file_is_refused_by_name(weights, tmp_path):
    folder = copy_of(weights, tmp_path)
    model = load_manifest(folder).model("classifier")
    model.file.unlink()

    with pytest.raises(ModelError, match=r"classifier\.onnx"):
        model.read()


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        network_classifier(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("schema = 1", "schema = 9", "its schema is 9"),
        ("schema = 1", "schema =", "Invalid value"),
        (f"recipe = {planes.RECIPE}", "recipe = 99", "planes of recipe 99"),
        ('name = "tiny-segmenter"', "", "name missing"),
        ('"tip", "feature"]', '"feature", "tip"]', "are wanted"),
        ("cuts = [0.0, 1.0, -0.5, 30.0]", "cuts = [0.0]", "4 cuts are wanted"),
        ("temperature = [1.0, 2.0]", "temperature = [1.0, 0.0]", "positive temperatures"),
        ("[segmenter]", "[other]", "names no segmenter"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_with_its_reason(weights, tmp_path, old, new, reason):
    folder = copy_of(weights, tmp_path)
    text = (folder / MANIFEST).read_text()
    assert old in text
    (folder / MANIFEST).write_text(text.replace(old, new))

    with pytest.raises(ModelError, match=reason):
        network_segmenter(folder)


@pytest.mark.parametrize(("role", "opened"), [("classifier", network_classifier), ("segmenter", network_segmenter)])
def test_a_model_on_trial_opens_only_when_asked_for(weights, tmp_path, role, opened):
    folder = copy_of(weights, tmp_path)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace(f"[{role}]", f'[{role}]\ntrial = "it sees too much"'))

    with pytest.raises(ModelError, match=f'on trial: it sees too much. Set models.{role} to "network"'):
        opened(folder)
    assert opened(folder, trial=True).backend.name == f"tiny-{role}"


def test_bytes_that_are_no_network_are_refused(weights, tmp_path):
    folder = copy_of(weights, tmp_path)
    model = load_manifest(folder).model("segmenter")
    model.file.write_bytes(b"not a network")
    text = (folder / MANIFEST).read_text()
    digest = hashlib.sha256(b"not a network").hexdigest()
    (folder / MANIFEST).write_text(text.replace(model.sha256, digest))

    with pytest.raises(ModelError, match="ONNX Runtime refuses"):
        network_segmenter(folder)


def test_a_checkout_finds_its_weights_beside_the_package():
    assert weights_folder().name == "weights"
    assert weights_folder().is_dir()
