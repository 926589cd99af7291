"""The rules: what they find in scans that were spoilt here, and what they leave alone in clean real ones."""

import numpy as np
import pytest

import afmd
from afmd.domain.findings import Label
from afmd.domain.scan import Scan
from afmd.science.rules import VERSION, RulesClassifier, RulesSegmenter
from afmd.science.rules.clipping import ends
from afmd.science.rules.evidence import HANDOVER, gathered
from afmd.science.rules.falls import falls
from afmd.science.rules.hits import hits
from afmd.science.rules.passes import disagreement
from afmd.science.rules.streaks import line_steps, streaks

CLEAN = ("old_bruker.002", "old_bruker.004", "di-2.di", "di-6.di", "kpg20080408.007")


def particles(rows=128, cols=160, seed=0):
    """Domes of 8 nm on a rough, tilted ground."""
    rng = np.random.default_rng(seed)
    row, col = np.indices((rows, cols))
    heights = 0.05 * row - 0.02 * col + rng.normal(0, 0.05, (rows, cols))
    for top, left in rng.uniform(10, min(rows, cols) - 10, (12, 2)):
        heights += 8 * np.exp(-((row - top) ** 2 + (col - left) ** 2) / 18)
    return heights.astype(np.float32)


def segmented(heights, retrace=None):
    return RulesSegmenter().segment(Scan.from_heights(heights, pixel_nm=2.0, retrace=retrace)).artifact >= 0.5


def spoil(heights, *, row, bottom, left=0, right=None, by):
    spoilt = heights.copy()
    spoilt[row:bottom, left:right] += by
    truth = np.zeros(heights.shape, dtype=bool)
    truth[row:bottom, left:right] = True
    return spoilt, truth


def overlap(one, other):
    return float((one & other).sum() / (one | other).sum())


def test_many_spikes_are_called_one_by_one():
    rng = np.random.default_rng(2)
    heights = particles(128, 160)
    truth = rng.random(heights.shape) < 0.015
    found = segmented(heights + np.where(truth, 6, 0).astype(np.float32))

    assert found[truth].mean() > 0.9
    assert found.sum() < 1.3 * truth.sum()


@pytest.mark.parametrize("by", [3.0, -3.0])
@pytest.mark.parametrize("thickness", [1, 2, 6])
def test_lost_lines_are_found_whichever_way_the_tip_went(by, thickness):
    spoilt, truth = spoil(particles(), row=60, bottom=60 + thickness, by=by)

    assert overlap(segmented(spoilt), truth) > 0.85


@pytest.mark.parametrize("by", [2.0, -2.0])
def test_a_scar_is_found_from_end_to_end(by):
    spoilt, truth = spoil(particles(seed=1), row=70, bottom=71, left=40, right=90, by=by)

    assert overlap(segmented(spoilt), truth) > 0.7


@pytest.mark.parametrize("rows", [slice(0, 2), slice(-2, None)])
def test_lines_lost_at_the_frame_s_border_are_found(rows):
    heights = particles(seed=2)
    heights[rows] -= 4
    truth = np.zeros(heights.shape, dtype=bool)
    truth[rows] = True

    assert overlap(segmented(heights), truth) > 0.8


def test_a_spike_is_found():
    heights = particles(seed=3)
    heights[50, 60:62] += 5

    assert segmented(heights)[50, 60:62].all()


def test_particles_and_noise_are_no_artefact():
    assert segmented(particles(seed=4)).mean() < 0.001


@pytest.mark.parametrize("angle", [0, 90])
def test_a_grating_s_steps_are_no_streaks(angle):
    row, col = np.indices((128, 128))
    profile = 50 / (1 + np.exp(-8 * np.sin((row if angle == 0 else col) / 6)))
    heights = (profile + np.random.default_rng(0).normal(0, 0.3, profile.shape)).astype(np.float32)

    assert segmented(heights).mean() < 0.01


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_neither_unit_nor_tilt_changes_what_is_found(scale):
    spoilt, _ = spoil(particles(seed=5), row=60, bottom=62, by=3)
    row, col = np.indices(spoilt.shape)

    one = segmented(spoilt)
    other = segmented(((spoilt + 0.4 * row - 0.1 * col) * scale).astype(np.float32))

    assert overlap(one, other) > 0.98


def test_what_only_one_pass_shows_is_its_artefact():
    heights = particles(seed=6)
    other = heights + np.random.default_rng(1).normal(0, 0.05, heights.shape).astype(np.float32)
    spoilt, truth = spoil(heights, row=60, bottom=63, left=50, right=60, by=2)

    assert overlap(disagreement(spoilt, np.roll(other, 2, axis=1)) > 6, truth) > 0.6
    assert not (disagreement(other, np.roll(spoilt, 2, axis=1)) > 6).any(axis=1).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("digit", [0, 0.02])
def test_a_sensors_noise_does_not_hide_that_heights_are_clipped(sign, digit):
    rng = np.random.default_rng(3)
    heights = particles(seed=7)
    heights = heights + np.linspace(0, 3 * np.ptp(heights), heights.shape[1], dtype=np.float32)
    limit = np.quantile(heights, 0.85)
    noisy = sign * (np.minimum(heights, limit) + rng.normal(0, 0.003 * np.ptp(heights), heights.shape))
    noisy = np.float32(np.round(noisy / digit) * digit if digit else noisy)

    low, high = ends(noisy)

    found, other = (high, low) if sign > 0 else (low, high)
    assert np.mean(found == (heights >= limit)) > 0.97
    assert not other.any()


def test_a_samples_own_flat_tops_are_not_clipped_whether_level_or_tilted():
    rng = np.random.default_rng(4)
    tops = np.where(np.arange(200) % 40 < 20, 100.0, 0.0)
    for tilt in (0, 0.2, 2):
        heights = tops + tilt * np.arange(200)[:, None] + rng.normal(0, 0.3, (200, 200))
        assert not ends(np.float32(heights)).anywhere.any()


def test_ground_beside_the_slope_of_a_cell_is_not_clipped():
    """Though the rest of the frame leans far more than the ground does."""
    rng = np.random.default_rng(6)
    cell = 20.0 * np.clip(np.arange(200) - 90, 0, None)
    for lean in (0.15, -0.15):
        heights = cell + lean * np.arange(200)[:, None] + rng.normal(0, 6, (200, 200))
        assert not ends(np.float32(heights)).anywhere.any()


def test_clipped_tops_are_found_and_a_flat_sample_is_not_clipped():
    heights = particles(seed=7)
    top = np.minimum(heights, np.quantile(heights, 0.97))

    np.testing.assert_array_equal(ends(top).anywhere, top == top.max())
    assert ends(top).anywhere.any()
    assert not ends(np.round(particles(seed=8), 1)).anywhere.any()
    assert not ends(np.full((32, 32), 3, np.float32)).anywhere.any()


def parachuted(heights, *, by, way):
    """Return heights that fall by at most ``by`` per pixel along ``way``, with noise, and where they are too high."""
    followed = heights[:, ::way].copy()
    for col in range(1, followed.shape[1]):
        np.maximum(followed[:, col], followed[:, col - 1] - by, out=followed[:, col])
    followed = followed[:, ::way]
    noise = np.random.default_rng(9).normal(0, 0.05, heights.shape)
    return (followed + noise).astype(np.float32), followed > heights + 0.15


@pytest.mark.parametrize("way", [1, -1])
def test_tails_that_fall_at_one_rate_are_found(way):
    spoilt, truth = parachuted(particles(seed=9), by=0.5, way=way)
    row, col = np.indices(spoilt.shape)
    tilted = spoilt + (0.3 * row - 0.2 * col + 3e-4 * (col - 80) ** 2).astype(np.float32)

    assert truth.mean() > 0.02
    assert overlap(falls(spoilt), truth) > 0.6
    assert overlap(falls(tilted), truth) > 0.6
    assert overlap(falls(spoilt * np.float32(1e-6)), truth) > 0.6
    assert RulesClassifier().classify(Scan(name="", heights=spoilt, pixel_nm=(1.0, 1.0))).label is Label.NOT_TRACKING


def test_what_goes_up_as_it_goes_down_is_no_tail():
    row, col = np.indices((128, 160))
    noise = np.random.default_rng(3).normal(0, 0.05, row.shape)
    grating = np.clip(10 - np.abs((col + 0.3 * row) % 40 - 20), 0, 6)

    assert not falls((grating + noise).astype(np.float32)).any()
    assert not falls(particles(seed=3)).any()


@pytest.mark.parametrize("shape", [(2, 2), (2, 300), (300, 2), (3, 3), (5, 5), (33, 47)])
def test_any_shape_gets_finite_probabilities(shape):
    heights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    scan = Scan.from_heights(heights, pixel_nm=1, retrace=heights[::-1])

    found, seen = RulesClassifier().classify(scan), RulesSegmenter().segment(scan)

    assert seen.artifact.shape == shape
    assert seen.artifact.dtype == np.float32
    assert ((seen.artifact >= 0) & (seen.artifact <= 1)).all()
    assert sum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "detect", [lambda h: streaks(line_steps(h)), lambda h: hits(line_steps(h)), lambda h: disagreement(h, h)]
)
def test_a_frame_without_relief_has_nothing_in_it(detect):
    assert not detect(np.full((40, 40), 5, np.float32)).any()


def test_every_answer_names_the_rules_and_their_version():
    scan = Scan.from_heights(particles(), pixel_nm=1)

    assert (
        str(RulesClassifier().classify(scan).backend)
        == str(RulesSegmenter().segment(scan).backend)
        == f"rules@{VERSION}"
    )


def test_what_was_gathered_for_one_scan_is_not_given_to_another():
    one, other = (Scan.from_heights(particles(seed=s), pixel_nm=1) for s in (1, 2))
    HANDOVER.put(one, gathered(one))

    np.testing.assert_array_equal(HANDOVER.take(other).hit, gathered(other).hit)


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_real_scan_is_good_and_stays_unmasked(scans_dir, name):
    scan = afmd.read(scans_dir / "images" / name)

    assert (RulesSegmenter().segment(scan).artifact >= 0.5).mean() < 0.003
    assert RulesClassifier().classify(scan).label is Label.GOOD


@pytest.mark.parametrize("name", ["5.011", "Veeco_20160622.003", "09261606.001"])
def test_a_real_scan_with_lost_lines_or_streaks_is_not_tracking(scans_dir, name):
    scan = afmd.read(scans_dir / "images" / name)

    assert (RulesSegmenter().segment(scan).artifact >= 0.5).mean() > 0.005
    assert RulesClassifier().classify(scan).label is Label.NOT_TRACKING


def test_a_streak_is_sure_of_itself_unless_single_hits_abound():
    spoilt, truth = spoil(particles(), row=60, bottom=62, left=20, right=90, by=0.45)
    rng = np.random.default_rng(2)
    hit = spoilt + 9 * (rng.random(spoilt.shape) < 0.01).astype(np.float32)

    calm, noisy = (RulesSegmenter().segment(Scan.from_heights(one, pixel_nm=2.0)).artifact for one in (spoilt, hit))

    assert np.median(calm[truth]) >= 0.9 > np.median(noisy[truth])
