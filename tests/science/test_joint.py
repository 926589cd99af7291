import numpy as np
import pytest
import scenes
from scipy import ndimage

from afmd import twin
from afmd.domain.levelling import Jump
from afmd.domain.params import Params
from afmd.errors import CannotLevel
from afmd.science.flatten import level

SIDE = (256, 256)


def joint(heights, **keywords):
    return level(heights, pixel_nm=2.0, params=Params(level="joint"), **keywords)


def step_error(heights, truth, *, low, high):
    """Relative error of the height between two areas of the truth."""
    down, up = truth < low, truth > high
    return (heights[up].mean() - heights[down].mean()) / (truth[up].mean() - truth[down].mean()) - 1


@pytest.mark.parametrize("degrees", [0, 3, 17, 45, 71, 85, 88])
def test_a_grating_keeps_its_step(degrees):
    rng = np.random.default_rng(degrees)
    truth = scenes.grating(rng, SIDE, angle=np.radians(degrees))
    heights = truth + scenes.scanner(rng, SIDE, relief=100, offsets=0.03, walk=0.005) + rng.normal(0, 0.3, SIDE)

    rest = joint(heights).heights

    assert abs(step_error(rest, truth, low=3, high=97)) < 0.005
    assert scenes.rms_error(rest, truth) < 0.6


@pytest.mark.parametrize("periods", [3, 8, 14])
@pytest.mark.parametrize("degrees", [86, 88, 89, 90, 91, 93])
def test_a_grating_along_the_fast_axis_is_not_taken_for_line_offsets(degrees, periods):
    rng = np.random.default_rng(degrees)
    truth = scenes.grating(rng, SIDE, angle=np.radians(degrees), periods=periods)
    heights = truth + scenes.scanner(rng, SIDE, relief=100, offsets=0.03, walk=0.003) + rng.normal(0, 0.3, SIDE)

    rest = joint(heights).heights

    assert abs(step_error(rest, truth, low=3, high=97)) < 0.02
    assert scenes.rms_error(rest, truth) < 2.5


def fine_grating(pitch_px: float, degrees: float) -> np.ndarray:
    """Lines and gaps of one width, nearly across the scan lines, 100 nm high; walls of two pixels."""
    row, col = np.indices(SIDE)
    across = col * np.cos(np.radians(degrees)) + row * np.sin(np.radians(degrees))
    return ndimage.gaussian_filter(100.0 * (across % pitch_px < pitch_px / 2), 1)


@pytest.mark.parametrize("pitch_px", [12, 24])
@pytest.mark.parametrize("degrees", [0, 0.3, 0.6, 1.5, 3])
def test_lines_that_lie_half_on_either_level_of_a_fine_grating_stay_level(pitch_px, degrees):
    rng = np.random.default_rng(3)
    truth = fine_grating(pitch_px, degrees)
    heights = truth + scenes.scanner(rng, SIDE, relief=100, offsets=0.015, walk=0.0) + rng.normal(0, 0.8, SIDE)

    rest = joint(heights).heights

    lines = (rest - truth).mean(axis=1)
    assert np.ptp(lines) < 6
    assert scenes.rms_error(rest, truth) < 5


@pytest.mark.parametrize("seed", [2, 5, 7, 8, 11])
def test_jumps_on_terraces_are_told_from_steps(seed):
    """Lines on either side show the same edges: whatever moved all of them at once was the scanner."""
    rng = np.random.default_rng(seed)
    row, col = np.indices(SIDE)
    angle = rng.uniform(0.2, 1.3)
    across = (col * np.cos(angle) + row * np.sin(angle)) / SIDE[0]
    truth = ndimage.gaussian_filter(30.0 * np.floor(6 * across + 0.3 * np.sin(row / 20)), 1)
    heights = truth + scenes.scanner(rng, SIDE, relief=240, offsets=0.015, walk=0.0) + rng.normal(0, 2, SIDE)
    jumps = np.array([60, 130, 190])
    for line in jumps:
        heights[line:] += rng.uniform(-1, 1) * 240

    lines = (joint(heights).heights - truth).mean(axis=1)

    assert np.abs(lines[jumps + 2] - lines[jumps - 3]).max() < 10


@pytest.mark.parametrize("seed", [3_500_054, 3_500_079])
def test_a_lattice_of_which_some_squares_are_taken_for_features_keeps_its_levels(seed):
    recipe = twin.Recipe(surfaces=(("square_grating", 1.0),), shapes=((128, 128),)).all_good()
    one = twin.simulate(seed, recipe=recipe)
    places, count = ndimage.label(~one.feature)
    hidden = np.isin(places, np.arange(1, count + 1, 2))
    relief = float(np.ptp(one.imaged))

    alone = joint(one.scan.heights, ground=~hidden).heights
    beside = joint(one.scan.heights, ground=~hidden, feature=hidden).heights

    assert scenes.rms_error(alone, one.imaged) > 0.05 * relief
    assert scenes.rms_error(beside, one.imaged) < 0.03 * relief


def test_a_bar_whose_ground_the_masks_take_for_a_feature_stays_where_it_is():
    rng = np.random.default_rng(4)
    bars = np.zeros(SIDE, dtype=bool)
    bars[2:14, 12:236] = bars[150:190, 100:180] = True
    truth = ndimage.gaussian_filter(120.0 * bars, 1)
    heights = truth + scenes.scanner(rng, SIDE, relief=120, offsets=0.01, walk=0.0) + rng.normal(0, 1, SIDE)
    feature = bars.copy()
    feature[:16] = ~bars[:16]
    spoilt = bars & ~feature & (rng.random(SIDE) < 0.4)

    masked = joint(heights, ground=~(feature | spoilt)).heights
    levelled = joint(heights, ground=~(feature | spoilt), feature=feature, spoilt=spoilt).heights

    assert scenes.rms_error(masked, truth) > 20
    assert scenes.rms_error(levelled, truth) < 2


def test_a_dome_that_the_mask_knows_does_not_bend_the_ground():
    rng = np.random.default_rng(5)
    row, col = np.indices(SIDE)
    truth = 300 * np.sqrt(np.clip(1 - ((row - 128) ** 2 + (col - 128) ** 2) / 70**2, 0, 1))
    heights = truth + scenes.scanner(rng, SIDE, relief=300, offsets=0.01, walk=0.01) + rng.normal(0, 1, SIDE)
    dome = truth > 0

    levelled = joint(heights, ground=~dome, feature=dome).heights

    assert scenes.rms_error(levelled, truth) < 3


@pytest.mark.parametrize("bands", [1, 2])
def test_bands_that_the_scanner_displaced_are_not_taken_for_a_grating(bands):
    rng = np.random.default_rng(bands)
    truth = scenes.dna(rng, SIDE)
    heights = truth + scenes.scanner(rng, SIDE, relief=2, offsets=0.03, walk=0.001) + rng.normal(0, 0.05, SIDE)
    for band in range(bands):
        heights[50 + 90 * band : 90 + 90 * band] += 4

    assert scenes.rms_error(joint(heights).heights, truth) < 0.1


def test_lines_that_the_instrument_levelled_are_not_taken_for_a_grating():
    rng = np.random.default_rng(3)
    lattice = scenes.grating(rng, SIDE, angle=0.02) + scenes.grating(rng, SIDE, angle=np.pi / 2)
    truth = np.where(lattice > 150, -9.0, 0.0)
    heights = truth + rng.normal(0, 0.05, SIDE)
    heights -= heights.mean(axis=1, keepdims=True)

    assert scenes.rms_error(joint(heights, ground=truth == 0).heights, truth) < 0.2


@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_terraces_keep_angle_and_step(seed):
    rng = np.random.default_rng(seed)
    truth = scenes.terraces(rng, SIDE)
    heights = truth + scenes.scanner(rng, SIDE, relief=15, offsets=0.02, walk=0.005) + rng.normal(0, 0.03, SIDE)

    rest = joint(heights).heights

    slope = np.polyfit(truth.ravel(), rest.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.005)
    assert scenes.rms_error(rest, truth) < 0.1
    assert scenes.rms_error(level(heights, pixel_nm=2.0, params=Params(level="poly")).heights, truth) > 2


def test_particles_neither_sink_nor_tilt():
    rng = np.random.default_rng(8)
    truth = scenes.particles(rng, SIDE)
    heights = truth + scenes.scanner(rng, SIDE, relief=40) + rng.normal(0, 0.1, SIDE)

    rest = joint(heights).heights

    ground = truth < 2
    assert scenes.rms_error(rest, truth) < 0.3
    assert abs(np.median(rest[ground]) - np.median(truth[ground])) < 0.3
    assert abs((rest - truth)[truth > 30].mean() - (rest - truth)[ground].mean()) < 0.2


CLASSICAL = {
    "poly": {"level": "poly", "order": 2},
    "median": {"level": "median", "direction": "row"},
    "differences": {"level": "median_of_differences", "direction": "row"},
    "smart": {"level": "smart", "direction": "row", "order": 1},
    "facet": {"level": "facet"},
}


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_joint_is_nearer_the_truth_than_every_classical_method(kind):
    ours, theirs = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = scenes.KINDS[kind](rng, SIDE)
        relief = float(np.ptp(np.percentile(truth, [1, 99])))
        heights = truth + scenes.scanner(rng, SIDE, relief=relief, offsets=0.03, walk=0.01)
        heights += rng.normal(0, 0.003 * relief, SIDE)
        ours.append(scenes.rms_error(joint(heights).heights, truth) / relief)
        theirs.append(
            [
                scenes.rms_error(level(heights, pixel_nm=2.0, params=Params(**how)).heights, truth) / relief
                for how in CLASSICAL.values()
            ]
        )

    assert np.mean(ours) < 0.9 * np.mean(theirs, axis=0).min()


def test_a_clean_scan_keeps_every_pixel():
    rng = np.random.default_rng(5)
    truth = scenes.particles(rng, SIDE)
    relief = float(np.ptp(truth))
    heights = truth + scenes.scanner(rng, SIDE, relief=relief, bow=0, offsets=0, walk=0)

    error = joint(heights).heights - truth
    own_tilt = level(error, pixel_nm=2.0, params=Params(level="plane")).background

    assert np.std(error - own_tilt) < 1.5e-3 * relief


@pytest.mark.parametrize("kind", ["fractal", "grains"])
def test_a_rough_film_without_line_offsets_keeps_its_lines(kind):
    rng = np.random.default_rng(6)
    truth = scenes.KINDS[kind](rng, SIDE)

    lost = np.std(joint(truth).background - level(truth, pixel_nm=2.0, params=Params(level="plane")).background)
    by_median = np.std(np.median(truth, axis=1))

    assert lost < 0.5 * by_median


def test_line_offsets_of_a_flat_sample_are_taken_off_to_the_noise():
    rng = np.random.default_rng(7)
    truth = scenes.dna(rng, SIDE)
    offsets = rng.normal(0, 0.5, SIDE[0])

    rest = joint(truth + offsets[:, None] + rng.normal(0, 0.05, SIDE)).heights

    assert np.std((rest - truth).mean(axis=1)) < 0.03


def test_a_lost_line_does_not_move_what_follows():
    rng = np.random.default_rng(9)
    truth = scenes.particles(rng, SIDE)
    heights = truth + scenes.scanner(rng, SIDE, relief=40, offsets=0.01, walk=0.002)
    spoilt = heights.copy()
    spoilt[100:103] = rng.normal(0, 30, (3, SIDE[1]))

    rest = joint(spoilt).heights
    good = np.ones(SIDE[0], dtype=bool)
    good[100:103] = False

    assert scenes.rms_error(rest[good], truth[good]) < 0.3


def test_the_artefact_mask_is_used():
    rng = np.random.default_rng(10)
    truth = scenes.grains(rng, SIDE)
    heights = truth + scenes.scanner(rng, SIDE, relief=20, offsets=0.05)
    mask = np.zeros(SIDE, dtype=bool)
    mask[:, :110] = rng.random((SIDE[0], 1)) < 0.4
    heights[mask] += 60

    blind, seeing = joint(heights).heights, joint(heights, ground=~mask).heights

    assert scenes.rms_error(seeing, truth, outside=mask) < scenes.rms_error(blind, truth, outside=mask)


@pytest.mark.parametrize("kind", ["particles", "dna"])
def test_jumps_inside_a_line_are_found_where_they_are_and_undone(kind):
    rng = np.random.default_rng(0)
    truth = scenes.KINDS[kind](rng, SIDE)
    relief = float(np.ptp(np.percentile(truth, [1, 99])))
    heights = truth + scenes.scanner(rng, SIDE, relief=relief, offsets=0.002, walk=0.001)
    for row, col, height in ((60, 100, 0.5), (150, 30, -0.3)):
        heights[row, col:] += height * relief
        heights[row + 1 :] += height * relief

    result = joint(heights)

    assert [(jump.row, jump.col) for jump in result.levelling.jumps] == [(60, 100), (150, 30)]
    assert [jump.height_nm / relief for jump in result.levelling.jumps] == pytest.approx([0.5, -0.3], abs=0.04)
    assert np.std((result.heights - truth)[[60, 150]]) < 0.05 * relief


def test_a_quiet_scan_has_no_jumps():
    rng = np.random.default_rng(0)
    assert joint(scenes.dna(rng, SIDE) + rng.normal(0, 0.1, (SIDE[0], 1))).levelling.jumps == ()


def test_a_jump_between_lines_is_told():
    rng = np.random.default_rng(0)
    heights = scenes.dna(rng, SIDE) + rng.normal(0, 0.01, (SIDE[0], 1))
    heights[128:] += 3

    jumps = joint(heights).levelling.jumps

    assert [(jump.row, jump.col) for jump in jumps] == [(128, 0)]
    assert isinstance(jumps[0], Jump)
    assert jumps[0].height_nm == pytest.approx(3, abs=0.1)


def test_the_order_says_what_was_found():
    rng = np.random.default_rng(0)
    flat = scenes.dna(rng, SIDE)
    across = np.linspace(-1, 1, SIDE[1])

    assert joint(flat + 5 * across).levelling.order == 1
    assert joint(flat + 5 * across + 20 * across**2).levelling.order == 2


def test_non_square_frames_are_levelled_alike():
    rng = np.random.default_rng(0)
    truth = scenes.particles(rng, (128, 512))
    heights = truth + scenes.scanner(rng, truth.shape, relief=40)

    assert scenes.rms_error(joint(heights).heights, truth) < 0.5


def test_on_simulated_scans_the_background_is_nearer_than_by_paper_and_by_polynomial():
    errors = {"joint": [], "published": [], "poly": []}
    for seed in range(200_000, 200_024):
        scan = twin.simulate(seed, shape=(128, 128), recipe=twin.TRAINING.all_good())
        relief = scan.parameters["relief_nm"]
        for name, params in (
            ("joint", Params()),
            ("published", Params("published")),
            ("poly", Params(level="poly", order=2)),
        ):
            found = level(scan.scan.heights, pixel_nm=scan.scan.pixel_nm, params=params)
            errors[name].append(np.std(found.background - scan.background) / relief)

    assert np.mean(errors["joint"]) < 0.8 * min(np.mean(errors["published"]), np.mean(errors["poly"]))


def test_particles_that_stand_so_close_that_no_ground_shows_in_many_lines_do_not_sink():
    recipe = twin.Recipe(surfaces=(("primitives", 1.0),), stream=5).all_good()
    one = twin.simulate(3_000_553, shape=(256, 256), recipe=recipe)

    error = level(one.scan.heights, pixel_nm=one.scan.pixel_nm).heights - one.imaged

    assert np.std(error) < 0.04 * np.ptp(one.imaged)


@pytest.mark.parametrize("seed", range(3))
def test_lines_that_lie_almost_wholly_on_a_cell_do_not_sink(seed):
    rng = np.random.default_rng(seed)
    down, across = np.indices(SIDE) / 256
    bulge = np.clip(1.3 - ((down - 0.1) / 0.32) ** 4 - ((across - 0.58) / 0.45) ** 4, 0, 1)
    truth = 80 * bulge**0.5 + (bulge > 0) * scenes.substrate(rng, SIDE, rms=2.5, length=9)
    heights = truth + scenes.scanner(rng, SIDE, relief=80) + rng.normal(0, 0.5, SIDE)

    assert scenes.rms_error(joint(heights).heights, truth) < 1.5


@pytest.mark.parametrize("degrees", [20, 50])
def test_a_staircase_of_many_rough_treads_is_not_laid_flat(degrees):
    rng = np.random.default_rng(1)
    down, across = np.indices(SIDE) / 256
    angle = np.radians(degrees)
    climb = 14 * (down * np.sin(angle) + across * np.cos(angle)) + scenes.substrate(rng, SIDE, rms=0.6, length=40)
    rough = scenes.substrate(rng, SIDE, rms=0.15, length=4) + scenes.substrate(rng, SIDE, rms=0.25, length=50)
    truth = rough - np.floor(climb)
    heights = truth + scenes.scanner(rng, SIDE, relief=14, offsets=0.01, walk=0.003) + rng.normal(0, 0.05, SIDE)

    rest = joint(heights).heights

    assert scenes.rms_error(rest, truth) < 0.6
    assert np.polyfit(truth.ravel(), rest.ravel(), 1)[0] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("steps", "degrees"), [(12, 20), (30, 65)])
def test_vicinal_steps_finer_than_any_level_shows_keep_their_angle(steps, degrees):
    rng = np.random.default_rng(4)
    down, across = np.indices(SIDE) / 256
    angle = np.radians(degrees)
    truth = -np.floor(steps * (down * np.sin(angle) + across * np.cos(angle)))
    texture = scenes.substrate(rng, SIDE, rms=0.15, length=3) + rng.normal(0, 0.15, SIDE)
    heights = truth + texture + scenes.scanner(rng, SIDE, relief=steps, tilt=0.6, offsets=0.003, walk=0.001)

    rest = joint(heights).heights

    assert np.polyfit(truth.ravel(), rest.ravel(), 1)[0] == pytest.approx(1, abs=0.05)
    assert scenes.rms_error(rest, truth) < 0.5


@pytest.mark.parametrize("degrees", [25, 70])
def test_a_blazed_surface_that_hardly_leans_is_not_turned_into_stairs(degrees):
    rng = np.random.default_rng(5)
    down, across = np.indices(SIDE) / 256
    angle = np.radians(degrees)
    turn = (12 * (down * np.sin(angle) + across * np.cos(angle)) + scenes.substrate(rng, SIDE, rms=0.1, length=40)) % 1
    truth = 50 * np.where(turn < 0.85, turn / 0.85, (1 - turn) / 0.15) + scenes.substrate(rng, SIDE, rms=3, length=6)
    heights = truth + scenes.scanner(rng, SIDE, relief=50, offsets=0.005, walk=0.002) + rng.normal(0, 0.5, SIDE)

    assert scenes.rms_error(joint(heights).heights, truth) < 10


@pytest.mark.parametrize("degrees", [20, 45, 160])
@pytest.mark.parametrize("lean", [0.1, 0.25, 0.4])
def test_a_coarse_blazed_grating_is_not_laid_on_its_facets(degrees, lean):
    """Facets of 150 nm, the scan tilted by up to two fifths of what stairs of them would climb."""
    rng = np.random.default_rng(1)
    down, across = np.indices(SIDE) / 256
    turn = 3.3 * (down * np.sin(np.radians(degrees)) + across * np.cos(np.radians(degrees))) % 1
    truth = 150 * np.where(turn < 0.9, turn / 0.9, (1 - turn) / 0.1)
    tilt = lean * 500 * (across - down / 2)
    heights = truth + tilt + scenes.substrate(rng, SIDE, rms=1, length=6) + rng.normal(0, 0.5, SIDE)

    assert scenes.rms_error(joint(heights).heights, truth) < 5


@pytest.mark.parametrize("seed", range(6))
def test_a_slip_as_high_as_a_film_and_amid_unsteady_lines_is_undone(seed):
    """It parts a line, and the ground lies on two levels; the lines' own offsets are a tenth of its height."""
    rng = np.random.default_rng(seed)
    down, across = np.indices(SIDE) / 256
    film = 5.0 * (across > 0.4 + 0.25 * down + 0.03 * np.sin(9 * down))
    truth = film + scenes.substrate(rng, SIDE, rms=0.2, length=3)
    slip = 4.6 * (np.arange(256 * 256).reshape(SIDE) >= 180 * 256 + 100)
    heights = truth + slip + rng.normal(0, 0.5, 256)[:, None] + rng.normal(0, 0.05, SIDE)

    assert scenes.rms_error(joint(heights).heights, truth) < 0.3


@pytest.mark.parametrize(("edge", "slope", "seed"), [(0.36, 0.1, 0), (0.36, 0.16, 0)])
def test_a_film_whose_edge_leaves_the_lines_one_by_one_is_not_torn(edge, slope, seed):
    rng = np.random.default_rng(seed)
    down, across = np.indices(SIDE) / 256
    film = down < edge + slope * (1 - across)
    truth = 7.0 * film + np.where(film, 0.4, 1) * scenes.substrate(rng, SIDE, rms=1.1, length=6)
    scanner = scenes.scanner(rng, SIDE, relief=7, tilt=0, bow=2, offsets=0.01, walk=0.004)

    rest = joint(truth + scanner + rng.normal(0, 0.2, SIDE)).heights

    assert scenes.rms_error(rest, truth) < 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(200, 9), (12, 200), (3, 40), (2, 64), (9, 9), (256, 300)])
@pytest.mark.parametrize("region", ["all", "lines", "corner", "patch"])
def test_odd_frames_and_little_ground_are_levelled_or_refused(shape, region):
    rng = np.random.default_rng(0)
    ground = np.full(shape, region == "all")
    if region == "lines":
        ground[1::2] = True
    elif region == "corner":
        ground[: max(2, shape[0] // 7), 1 : max(6, shape[1] // 9)] = True
    elif region == "patch":
        ground[1:5, 1:7] = True
    rough = scenes.substrate(rng, shape, rms=5, length=3)
    for heights in (
        rng.normal(size=shape),
        rough,
        np.zeros(shape),
        np.round(rough),
        np.floor(np.indices(shape).sum(axis=0) / 7),
    ):
        try:
            rest = joint(heights, ground=ground).heights
        except CannotLevel:
            continue
        assert np.isfinite(rest).all()
