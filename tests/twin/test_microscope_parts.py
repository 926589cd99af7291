"""The parts of the microscope: tip, loop, noise, samples, draws."""

import numpy as np
import pytest

from afmd.twin import SURFACES
from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, span
from afmd.twin.noise import split_passes, wave
from afmd.twin.plan import Streams, planned
from afmd.twin.recipe import EVERYTHING, KINDS
from afmd.twin.recording import mounted, recorded
from afmd.twin.sample import prepared
from afmd.twin.servo import Loop, follow
from afmd.twin.surfaces import FAMILIES
from afmd.twin.surfaces.tessellations import nearest_cells
from afmd.twin.tip import Tip, imaged_by, shifted

LOOP = Loop(integral=0.6, proportional=0.0, free_nm=2.0, engaged_nm=20.0, cantilever_px=0.2, piezo_px=0.2)
TIP = Tip(radius_nm=10.0, left_deg=20.0, right_deg=12.0, slow_deg=18.0)


def _box(height=30.0):
    path = np.zeros((2, 3, 200))
    path[:, :, 80:100] = height
    return path


def test_lost_contact_falls_at_integral_gain_times_saturated_error():
    heights, _ = follow(_box(), np.zeros((2, 3, 200)), LOOP)
    fall = -np.diff(heights[0, 1, 102:116])

    np.testing.assert_allclose(fall, LOOP.integral * LOOP.free_nm, rtol=1e-3)


def test_the_error_saturates_on_the_tail():
    _, error = follow(_box(), np.zeros((2, 3, 200)), LOOP)

    np.testing.assert_allclose(error[0, 1, 103:114], LOOP.free_nm, rtol=1e-3)
    assert error.max() <= LOOP.free_nm + 1e-9


def test_parachuting_tails_change_side_between_trace_and_retrace():
    heights, _ = follow(_box(), np.zeros((2, 3, 200)), LOOP)
    trace, retrace = heights[:, 1] - _box()[:, 1]

    assert trace[104:110].min() > 10 > abs(trace[60:76]).max()
    assert retrace[70:76].min() > 10 > abs(retrace[104:140]).max()


def test_a_slope_is_recorded_late_by_what_the_loop_says():
    ramp = np.tile(np.arange(200.0), (2, 3, 1)) * 0.5
    heights, _ = follow(ramp, np.zeros_like(ramp), LOOP)

    assert (ramp - heights)[0, 1, 150] / 0.5 == pytest.approx(LOOP.late_px, abs=0.02)


def test_too_much_gain_rings_at_its_own_period():
    ringing = Loop(integral=3.0, proportional=0.0, free_nm=500.0, engaged_nm=500.0, cantilever_px=6.0, piezo_px=0.0)
    heights, _ = follow(_box(), np.zeros((2, 3, 200)), ringing)
    after = heights[0, 1, 100:164] - heights[0, 1, 100:164].mean()

    assert heights.max() > 35
    assert np.count_nonzero(np.diff(np.sign(after))) >= 8


def test_dilation_is_the_largest_of_all_lowered_copies():
    grid = Grid(24, 25, 2.0, 3.0)
    surface = np.random.default_rng(0).random((24, 25)) * 20
    slope = {s: 1 / np.tan(np.radians(a)) for s, a in (("left", 20), ("right", 12), ("slow", 18))}

    def depth(nm, side):
        blunt = TIP.radius_nm * slope[side] ** 2
        return np.sqrt(blunt**2 + (slope[side] * nm) ** 2) - blunt

    expected = np.full_like(surface, -np.inf)
    for down in range(-23, 24):
        for across in range(-24, 25):
            lowered = depth(2.0 * down, "slow") + depth(3.0 * across, "right" if across > 0 else "left")
            rows, cols = np.arange(24) + down, np.arange(25) + across
            inside = ((rows >= 0) & (rows < 24))[:, None] & ((cols >= 0) & (cols < 25))[None, :]
            value = surface[np.clip(rows, 0, 23)][:, np.clip(cols, 0, 24)] - lowered
            expected = np.where(inside, np.maximum(expected, value), expected)

    np.testing.assert_allclose(imaged_by(TIP, surface, grid), expected, atol=1e-9)


def test_a_blunter_tip_images_nothing_lower():
    grid = Grid(64, 64, 1.0, 1.0)
    surface = np.random.default_rng(1).random((64, 64)) * 30

    assert (imaged_by(TIP.blunter(40.0), surface, grid) >= imaged_by(TIP, surface, grid) - 1e-9).all()


def test_a_shift_by_whole_pixels_moves_and_keeps():
    values = np.arange(30.0).reshape(5, 6)

    np.testing.assert_array_equal(shifted(values, 1, 2)[1:, 2:], values[:-1, :-2])


def test_hum_runs_on_from_line_to_line():
    hum = wave(5, 40, per_step=0.083, phase=0.2)

    np.testing.assert_allclose(hum.ravel(), np.sin(2 * np.pi * (0.083 * np.arange(200) + 0.2)), atol=1e-4)
    np.testing.assert_array_equal(split_passes(hum)[1], hum[:, 20:][:, ::-1])


def _frames(kind, seed=3, surface="particles"):
    streams = Streams(seed, EVERYTHING.only(kind).on(surface))
    plan = planned(streams, (128, 128))
    microscope = mounted(streams, prepared(streams, plan), (128, 128))
    clean, spoilt = (recorded(microscope, streams, faults) for faults in ((), plan.faults))
    return spoilt.heights - clean.heights


def test_ghosts_repeat_in_the_retrace():
    moved = _frames("double_tip")
    trace, retrace = (values - values.mean() for values in moved)
    best = max(
        float((trace[:, 10:-10] * np.roll(retrace, by, axis=1)[:, 10:-10]).sum()) for by in range(-10, 11)
    ) / np.sqrt((trace**2).sum() * (retrace**2).sum())

    assert best > 0.75


def test_scars_do_not_repeat_in_the_retrace():
    trace, retrace = _frames("scar")
    both = (np.abs(trace) > 0.5 * np.abs(trace).max()) & (np.abs(retrace) > 0.5 * np.abs(retrace).max())

    assert np.abs(trace).max() > 0
    assert both.mean() < 0.2 * (np.abs(trace) > 0.5 * np.abs(trace).max()).mean()


def test_asking_twice_for_a_fault_gives_the_same_fault():
    for kind in KINDS:
        np.testing.assert_array_equal(_frames(kind, seed=5), _frames(kind, seed=5))


@pytest.mark.parametrize("name", SURFACES)
def test_a_family_gives_sensible_heights_at_every_scale(name):
    family = FAMILIES[name]
    for seed, width in enumerate(family.widths_nm):
        grid = Grid(72, 96, width / 72, width / 96, 8, 8)
        surface = family.make(Draw(np.random.SeedSequence(seed)), grid)

        assert surface.heights.shape == surface.feature.shape == (72, 96)
        assert np.isfinite(surface.heights).all()
        assert 0.05 < span(surface.heights) < 10_000
        assert surface.feature.mean() < 0.9


@pytest.mark.parametrize("name", ["dunes", "hatch"])
def test_a_wave_over_everything_keeps_clear_of_the_frame_s_axes_in_pixels(name):
    window = np.hanning(160)[:, None] * np.hanning(160)[None, :]
    down, across = np.fft.fftfreq(160)[:, None], np.fft.fftfreq(160)[None, :]
    fine = np.hypot(down, across) > 0.03
    near_axis = np.minimum(np.abs(down), np.abs(across)) < np.sin(np.radians(8)) * np.hypot(down, across)
    for seed, aspect in enumerate((0.5, 1.0, 2.0)):
        grid = Grid(160, 160, 10.0 * aspect, 10.0)
        heights = FAMILIES[name].make(Draw(np.random.SeedSequence(seed)), grid).heights
        power = np.abs(np.fft.fft2((heights - heights.mean()) * window)) ** 2

        assert power[fine & near_axis].sum() < 0.1 * power[fine].sum()


@pytest.mark.parametrize("jitter", [0.0, 0.9])
def test_a_pixel_belongs_to_the_nearest_seed_and_a_wall_is_as_far_from_both(jitter):
    place = np.linspace(2, 9, 90)[None, :] + 1j * np.linspace(1, 8, 80)[:, None]
    cells = nearest_cells(np.random.default_rng(3), place.astype(np.complex64), jitter=jitter, length_nm=1.0)
    seeds = dict(zip(cells.own.flat, (place - cells.across - 1j * cells.down).flat, strict=True))
    away = np.sort([np.abs(place - seed) for seed in seeds.values()], axis=0)

    np.testing.assert_allclose(np.hypot(cells.down, cells.across), away[0], atol=1e-4)
    inner = np.s_[20:-20, 20:-20]
    at_wall = cells.wall[inner] < 0.01
    assert at_wall.any()
    assert (away[1] - away[0])[inner][at_wall].max() < 0.04


def test_bands_keep_parameters_apart():
    inside = Draw(np.random.SeedSequence(0), bands=((0.1, 0.3), (0.6, 0.9)))
    drawn = np.array([inside.uniform("share", 0.0, 1.0) for _ in range(500)])

    assert (((drawn >= 0.1) & (drawn <= 0.3)) | ((drawn >= 0.6) & (drawn <= 0.9))).all()
    assert 0.3 < (drawn < 0.5).mean() < 0.5


def test_what_is_drawn_is_written_down():
    draw = Draw(np.random.SeedSequence(1))
    radius = draw.log("radius_nm", 1, 10)

    assert draw.values["radius_nm"] == pytest.approx(radius, rel=1e-5)
    assert draw.values == {"radius_nm": draw.values["radius_nm"]}
