import numpy as np
import pytest
import scenes

from afmd.files.nanoscope import decode
from afmd.science.flatten import level
from afmd.science.flatten.leans import bears_the_mark, steady

SIDE = (256, 256)


def levelled_line_by_line(heights):
    """As the instrument does it: each line less its own least-squares line."""
    across = np.linspace(-1, 1, heights.shape[1])
    slope = (heights @ across) / (across @ across)
    return heights - heights.mean(axis=1, keepdims=True) - np.outer(slope, across)


def recorded(kind, seed, *, noise=0.003):
    rng = np.random.default_rng(seed)
    truth = scenes.KINDS[kind](rng, SIDE)
    relief = float(np.ptp(truth))
    heights = truth + scenes.scanner(rng, SIDE, relief=relief) + rng.normal(0, noise * relief, SIDE)
    return truth, relief, heights.astype(np.float32)


@pytest.mark.parametrize(("kind", "seed"), [("particles", 1), ("particles", 2), ("cells", 1), ("cells", 3), ("dna", 1)])
def test_shadows_of_line_by_line_levelling_are_undone(kind, seed):
    truth, relief, heights = recorded(kind, seed)
    spoilt = levelled_line_by_line(heights).astype(np.float32)

    error = scenes.rms_error(level(spoilt, pixel_nm=2.0).heights, truth)

    assert error < 0.02 * relief
    assert error < scenes.rms_error(spoilt, truth) / 4


@pytest.mark.parametrize("kind", ["terraces", "grains", "fractal", "grating"])
def test_turning_lines_back_never_makes_it_worse(kind):
    for seed in range(3):
        truth, relief, heights = recorded(kind, seed)
        spoilt = levelled_line_by_line(heights).astype(np.float32)

        error = scenes.rms_error(level(spoilt, pixel_nm=2.0).heights, truth)

        assert error < 1.1 * scenes.rms_error(spoilt, truth) + 0.005 * relief


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_a_scan_as_recorded_does_not_bear_the_mark(kind):
    _, _, heights = recorded(kind, 4)

    assert not bears_the_mark(heights)
    assert not bears_the_mark(level(heights, pixel_nm=2.0).heights)
    assert bears_the_mark(levelled_line_by_line(heights).astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["dna", "particles"])
def test_lines_that_lean_at_random_are_turned_back(kind, seed):
    """As noise slower than a line makes them lean."""
    truth, relief, heights = recorded(kind, seed)
    leans = np.random.default_rng(seed).normal(0, 0.08 * relief, (SIDE[0], 1)) * np.linspace(-1, 1, SIDE[1])

    flat, as_if_still = (level(one, pixel_nm=2.0).heights for one in ((heights + leans).astype(np.float32), heights))

    assert scenes.rms_error(flat, truth) < 1.2 * scenes.rms_error(as_if_still, truth) + 0.006 * relief


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_lines_that_do_not_lean_are_left_alone(kind, monkeypatch):
    _, _, heights = recorded(kind, 4)
    found = level(heights, pixel_nm=2.0).heights

    monkeypatch.setattr("afmd.science.flatten.joint.leans_at_random", lambda *_, **__: None)

    np.testing.assert_array_equal(level(heights, pixel_nm=2.0).heights, found)


def test_a_line_that_hardly_tells_its_lean_leans_as_its_neighbours_do():
    cost = np.ones((5, 9))
    cost[1] = 0
    cost[:, 4] = 1
    cost[4, 4] = 0.9

    assert (steady(cost) == 1).all()


def test_a_line_that_surely_leans_otherwise_may():
    cost = np.ones((5, 9))
    cost[1] = 0
    cost[4, 4] = -2

    assert steady(cost).tolist() == [1, 1, 1, 1, 4, 1, 1, 1, 1]


def test_coarsely_digitised_lines_still_bear_it():
    _, relief, heights = recorded("particles", 5)
    spoilt = levelled_line_by_line(heights)

    assert bears_the_mark((np.round(spoilt / (relief / 1000)) * (relief / 1000)).astype(np.float32))


def test_a_frame_without_any_height_bears_no_mark():
    assert not bears_the_mark(np.zeros(SIDE, dtype=np.float32))


def test_real_scans_are_levelled_whether_marked_or_not(scans_dir):
    marked = []
    for path in sorted((scans_dir / "images").iterdir()):
        scan = decode(path.read_bytes(), name=path.name)
        marked.append(bears_the_mark(scan.heights))
        assert np.isfinite(level(scan.heights, pixel_nm=scan.pixel_nm).heights).all(), path.name

    assert not all(marked)
