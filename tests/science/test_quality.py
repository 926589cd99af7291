"""Figures of a surface against surfaces whose figures are known, and against their definitions."""

import numpy as np
import pytest
from scipy import ndimage

from afmd.domain.findings import Label
from afmd.domain.levelling import Disturbance, DisturbanceKind, Jump, Levelling
from afmd.science.confidence import confidence
from afmd.science.quality import assess, flatness, worst_fill_nm
from afmd.science.roughness import line_residual_nm, mean_gradient, roughness

PITCH = (2.0, 3.0)


def rough(rows=300, cols=260, seed=0):
    rng = np.random.default_rng(seed)
    return (5 * ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 2)).astype(np.float32)


def waves(rows=400, cols=500):
    """A 4 nm high sine along the rows, 20 whole periods of 25 px."""
    return np.broadcast_to(2 * np.sin(2 * np.pi * np.arange(cols) / 25), (rows, cols)).astype(np.float32)


def judged(raw, *, mask=None, touched=None, **told):
    nothing = np.zeros(raw.shape, dtype=bool)
    mask = nothing if mask is None else mask
    touched = mask if touched is None else touched
    given = {"label": Label.NOT_TRACKING, "abstained": False, "refusal": "", **told}
    return assess(
        raw, raw, raw, mask=mask, touched=touched, sigma=touched.astype(np.float32), pixel_nm=PITCH, **given
    )  # fmt: skip


def test_a_sine_has_the_roughness_of_the_textbook():
    found = roughness(waves(), pixel_nm=(1.0, 1.0))

    assert found.sa_nm == pytest.approx(2 * 2 / np.pi, rel=0.01)
    assert found.sq_nm == pytest.approx(2 / np.sqrt(2), rel=1e-4)
    assert found.sz_nm == pytest.approx(4, rel=0.01)
    assert found.slope == pytest.approx(2 * 2 * np.pi / 25 / np.sqrt(2), rel=0.01)


def test_a_tilted_plane_has_the_area_of_its_slope():
    rows, _ = np.mgrid[:80, :70]
    plane = (rows * PITCH[0] * 0.75).astype(np.float32)

    assert roughness(plane, pixel_nm=PITCH).sdr == pytest.approx(0.25, rel=1e-4)
    flat = roughness(plane, pixel_nm=PITCH, tilt=(0.75, 0.0))
    assert flat.sz_nm == pytest.approx(0, abs=1e-4)
    assert flat.sdr == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (3, 70000), (257, 256), (1000, 130)])
def test_strips_change_no_figure(shape):
    heights = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    down = (heights[1:] - heights[:-1]) / PITCH[0]
    across = (heights[:, 1:] - heights[:, :-1]) / PITCH[1]
    slope = ((down[:, 1:] + down[:, :-1]) / 2) ** 2 + ((across[1:] + across[:-1]) / 2) ** 2

    found = roughness(heights, pixel_nm=PITCH)

    assert found.sq_nm == pytest.approx(heights.std(), rel=1e-5)
    assert found.sz_nm == pytest.approx(np.ptp(heights))
    assert found.slope == pytest.approx(np.sqrt(slope.mean()), rel=1e-5)
    assert found.sdr == pytest.approx((np.sqrt(1 + slope) - 1).mean(), rel=1e-4)


def test_the_line_residual_forgives_each_line_its_own_tilt_and_masked_pixels():
    rng = np.random.default_rng(2)
    heights = rng.normal(0, 0.5, (200, 300))
    lines = rng.normal(0, 20, (200, 1)) + rng.normal(0, 9, (200, 1)) * np.linspace(-1, 1, 300)
    ground = rng.uniform(size=heights.shape) > 0.2
    spoilt = np.where(ground, heights + lines, 1e4)

    assert line_residual_nm(spoilt, ground=ground) == pytest.approx(0.5, rel=0.03)


def test_the_gradient_does_not_see_masked_pixels():
    heights = waves()
    ground = np.ones(heights.shape, dtype=bool)
    ground[100:103] = False
    spoilt = np.where(ground, heights, 500).astype(np.float32)

    assert mean_gradient(spoilt, ground=ground) == pytest.approx(mean_gradient(heights, ground=ground))
    assert mean_gradient(spoilt, ground=ground) < mean_gradient(spoilt, ground=np.ones_like(ground)) / 2


@pytest.mark.parametrize("pixel_nm", [(2.0, 2.0), (2.0, 3.0)])
def test_the_deepest_fill_is_measured_in_nm(pixel_nm):
    touched = np.zeros((60, 80), dtype=bool)
    touched[20:25, 10:70] = True

    assert worst_fill_nm(touched, pixel_nm=pixel_nm) == pytest.approx(3 * pixel_nm[0], rel=1e-5)
    assert worst_fill_nm(np.zeros_like(touched), pixel_nm=pixel_nm) == 0


@pytest.mark.parametrize("seed", range(12))
def test_the_deepest_fill_is_as_deep_as_the_true_distance_says(seed):
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=rng.integers(20, 120, 2)), rng.uniform(0.3, 6))
    touched = blobs > np.quantile(blobs, rng.uniform(0.05, 0.95))

    deepest = ndimage.distance_transform_edt(touched).max()

    assert worst_fill_nm(touched, pixel_nm=(2.0, 2.0)) == pytest.approx(2 * deepest, rel=1e-6)


def test_confidence_falls_with_what_was_touched_and_is_none_when_refused():
    heights = rough()
    small, large = np.zeros((2, *heights.shape), dtype=bool)
    small[10:12], large[10:120] = True, True

    sure, unsure = judged(heights, mask=small), judged(heights, mask=large)

    assert 1 >= judged(heights).confidence > sure.confidence > unsure.confidence > 0
    assert judged(heights, refusal="too much is spoilt").confidence == 0


def islands(rows=256, cols=256):
    """Flat ground with noise, and some particles."""
    rng = np.random.default_rng(7)
    row, col = np.indices((rows, cols))
    heights = rng.normal(0, 0.1, (rows, cols))
    for top, left in rng.integers(20, rows - 20, (12, 2)):
        heights = np.maximum(heights, 10 - np.square(np.hypot(row - top, col - left)) / 10)
    return heights.astype(np.float32)


def sure(raw, restored):
    told = {"touched_share": 0.0, "pass_rms_nm": None, "abstained": False}
    return confidence(raw, restored, sigma=np.zeros_like(restored), **told)


def test_what_is_left_of_a_scanner_costs_confidence():
    truth = islands()
    bow = 8 * np.square(np.linspace(-1, 1, truth.shape[1], dtype=np.float32))

    assert sure(truth, truth) > 0.95
    assert sure(truth + bow, truth + bow) < 0.8 * sure(truth, truth)
    assert sure(truth + 5 * bow, truth + bow) < sure(truth + bow, truth + bow)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_confidence_knows_no_unit(scale):
    truth = islands()
    raw = truth + np.linspace(0, 5, truth.shape[1], dtype=np.float32)

    assert sure(raw * np.float32(scale), truth * np.float32(scale)) == pytest.approx(sure(raw, truth), rel=1e-3)


def test_a_repair_without_any_relief_has_a_confidence():
    flat = np.zeros((40, 50), np.float32)

    assert 0 <= sure(flat, flat) <= 1


def test_tilt_that_was_not_removed_is_reported_as_none():
    rows, _ = np.mgrid[:300, :260]

    assert judged(rough() + rows.astype(np.float32)).tilt_removed == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"label": Label.GOOD}, "A good scan: levelled only."),
        ({"label": Label.GOOD, "abstained": True}, "Levelled; nothing was filled. It is not sure"),
        ({"label": Label.NOT_TRACKING}, "nothing had to be filled"),
        (
            {"label": Label.NOT_TRACKING, "left_share": 0.12},
            "nothing was filled. 12.0% may be spoilt, but too",
        ),
        ({"label": Label.GOOD, "abstained": True}, "not sure"),
        ({"refusal": "70% of the scan is spoilt"}, "Not restored: 70%"),
    ],
)
def test_the_verdict_is_a_sentence_for_a_person(told, words):
    assert words in judged(rough(), **told).verdict


def test_the_verdict_names_the_lines_that_another_tip_drew():
    changed = np.zeros(300, bool)
    changed[[*range(10, 20), *range(280, 300)]] = True

    assert judged(rough(), changed=changed).verdict.endswith("drawn lines 11–20, 281–300 from the top.")
    changed[::3] = True
    assert "1–1, 4–4, 7–7, … from the top" in judged(rough(), changed=changed).verdict
    assert "tip" not in judged(rough(), changed=np.zeros(300, bool)).verdict


def test_the_verdict_tells_what_levelling_took_off_besides_the_scanner():
    waves = (
        Disturbance(DisturbanceKind.HUM, 3.0, 0.4, 0.1),
        Disturbance(DisturbanceKind.HUM, 4.0, 0.8, 0.2),
        Disturbance(DisturbanceKind.FRINGES, 0.25, 0.01, 0.02),
    )
    relief = judged(rough()).after.sz_nm
    jumps = tuple(Jump(row, 0, -0.2 * relief) for row in (9, 40, 41, 99))

    told = judged(rough(), levelling=Levelling("joint", jumps=jumps, disturbances=waves)).verdict

    assert "Hum of ±5 nm was taken off. Interference of laser light of ±0.25 nm was taken off." in told
    assert told.endswith("Steps in lines 10, 41, 42, … were taken for the scanner's.")
    plain = judged(rough(), levelling=Levelling("joint", jumps=jumps[:1])).verdict
    assert plain.endswith("A step in line 10 was taken for the scanner's.")
    low = (Jump(9, 0, 0.01 * relief),)
    assert judged(rough(), levelling=Levelling("joint", jumps=low)).verdict == judged(rough()).verdict
    assert judged(rough(), levelling=Levelling("joint")).verdict == judged(rough()).verdict


def test_agreement_of_the_passes_is_reported_only_with_a_retrace():
    heights = rough()

    assert judged(heights).pass_rms_before_nm is None
    with_retrace = judged(heights, retrace_raw=heights + 1)
    assert with_retrace.pass_rms_before_nm == pytest.approx(0, abs=1e-4)
    assert with_retrace.pass_rms_after_nm is not None


def test_passes_that_disagree_cost_confidence():
    heights = rough()
    noise = np.random.default_rng(4).normal(0, 1, heights.shape).astype(np.float32)

    assert (
        judged(heights, retrace_raw=heights + noise).confidence < 0.8 * judged(heights, retrace_raw=heights).confidence
    )


def test_a_class_that_is_unsure_costs_confidence():
    assert judged(rough(), abstained=True).confidence < judged(rough()).confidence


def test_flatness_falls_with_line_offsets_and_with_tilt_and_not_with_masked_pixels():
    heights = rough()
    lines = np.random.default_rng(5).normal(0, 3, (len(heights), 1)).astype(np.float32)
    ground = np.ones(heights.shape, dtype=bool)
    ground[40:50] = False
    spoilt = np.where(ground, heights, 900).astype(np.float32)

    assert flatness(heights, ground=np.ones_like(ground)) > 0.9
    assert flatness(heights + lines, ground=np.ones_like(ground)) < 0.2
    assert flatness(heights + np.arange(heights.shape[1], dtype=np.float32), ground=np.ones_like(ground)) < 0.05
    assert flatness(spoilt, ground=ground) > 0.9


@pytest.mark.parametrize(("label", "words"), [(Label.NOT_TRACKING, "slower"), (Label.TIP_CONTAMINATION, "change it")])
def test_the_verdict_says_what_to_do_about_the_class(label, words):
    touched = np.zeros((300, 260), dtype=bool)
    touched[10:12] = True

    assert words in judged(rough(), mask=touched, label=label).verdict


@pytest.mark.parametrize(
    "sound",
    [np.s_[:0], np.s_[7, 3:5], np.s_[7], np.s_[:, 250:252], np.s_[40:60, 40:60]],
    ids=["nothing", "two pixels", "one line", "two columns", "a corner"],
)
def test_whatever_little_is_sound_a_scan_is_judged(sound):
    mask = np.ones((300, 260), dtype=bool)
    mask[sound] = False

    found = judged(rough(), mask=mask, refusal="too much is spoilt")

    assert np.isfinite([found.sigma_bg_nm, found.rmse_line_nm, found.mean_gradient, found.flatness]).all()
