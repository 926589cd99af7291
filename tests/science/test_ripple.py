import numpy as np
import pytest
import scenes
from scipy import ndimage

from afmd import twin
from afmd.domain.params import Params
from afmd.files.nanoscope import decode
from afmd.science.flatten import level
from afmd.science.flatten.joint import fitted
from afmd.science.flatten.ripple import ground_wave, scanners_own
from afmd.science.flatten.terms import Ground
from afmd.science.flatten.thinned import thinned

SIDE = (320, 320)
PEERS = [Params(level="poly", order=2), Params("published")] + [
    Params(level=name, direction=way)
    for name in ("median", "trimmed_mean", "median_of_differences")
    for way in ("row", "column")
]


def rippled(clean, *, degrees, alpha=0.4, per_px=0.01, phase=0.7):
    """Paper A, section 3.2.4."""
    i, j = np.indices(clean.shape)
    turn = np.radians(degrees)
    return clean + alpha * np.abs(clean) * np.sin(2 * np.pi * per_px * (i * np.sin(turn) + j * np.cos(turn)) + phase)


def dna(seed):
    """Heights above the lowest pixel, with some noise."""
    rng = np.random.default_rng(seed)
    clean = scenes.dna(rng, SIDE) + rng.normal(0, 0.03, SIDE)
    return clean - clean.min()


def found(heights, *, pixel_nm=(2.0, 2.0)):
    """The ripple that is taken off, or None."""
    frame = thinned(Ground(np.asarray(heights, dtype=np.float32), None, None, pixel_nm))
    wave = ground_wave(fitted(frame, 3, whole=frame), frame, heights.shape)
    if wave is None:
        return None
    calm = wave.off(frame, heights.shape)
    return scanners_own(wave, fitted(calm, 3, whole=calm), calm, heights.shape)


@pytest.mark.parametrize("degrees", [0, 90])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_swinging_gain_is_undone_to_less_than_half_the_best_peers_distance_from_the_truth(seed, degrees):
    clean = dna(seed)
    heights = rippled(clean, degrees=degrees)

    ours = scenes.rms_error(level(heights, pixel_nm=2.0).heights, clean)
    peers = [scenes.rms_error(level(heights, pixel_nm=2.0, params=how).heights, clean) for how in PEERS]

    assert ours < 0.5 * min(peers)


@pytest.mark.parametrize(("degrees", "axis"), [(0, 1), (90, 0)])
def test_gain_and_frequency_of_a_ripple_are_found(degrees, axis):
    wave = found(rippled(dna(4), degrees=degrees, alpha=0.3, per_px=0.02))

    assert wave is not None
    assert wave.axis == axis
    assert wave.frequency == pytest.approx(0.02, rel=0.02)
    assert wave.gain == pytest.approx(0.3, rel=0.15)


def test_a_low_wave_under_all_of_the_ground_goes_though_features_do_not_swing():
    clean = dna(5)
    j = np.arange(SIDE[1])
    heights = clean + 0.15 * np.sin(2 * np.pi * 0.02 * j + 1)

    wave = found(heights)

    assert wave is not None
    assert wave.gain == 0
    assert scenes.rms_error(level(heights, pixel_nm=2.0).heights, clean) < 0.03


@pytest.mark.parametrize("degrees", [0, 90])
def test_where_features_are_few_the_texture_tells_the_gain(degrees):
    rng = np.random.default_rng(6)
    clean = scenes.dna(rng, SIDE)
    clean[60:] = 0
    clean += rng.normal(0, 0.03, SIDE)
    clean -= clean.min()

    wave = found(rippled(clean, degrees=degrees))

    assert wave is not None
    assert wave.gain == pytest.approx(0.4, rel=0.15)


@pytest.mark.parametrize("height", [1.0, 3.0, 10.0])
def test_an_aligned_grating_with_rough_tops_is_no_ripple(height):
    rng = np.random.default_rng(7)
    wave = np.sin(2 * np.pi * 0.02 * np.arange(SIDE[1]))

    assert found(height * wave + rng.normal(0, 0.03, SIDE) * (1 + 0.5 * wave)) is None


def test_background_and_heights_are_the_input_again():
    heights = rippled(dna(6), degrees=0).astype(np.float32)

    done = level(heights, pixel_nm=2.0)

    assert np.allclose(done.heights + done.background, heights, atol=1e-5)


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_a_sample_without_ripple_keeps_its_waves(kind):
    rng = np.random.default_rng(9)
    truth = scenes.KINDS[kind](rng, SIDE)
    relief = float(np.ptp(truth))

    assert found(truth + rng.normal(0, 0.003 * relief, SIDE)) is None


@pytest.mark.parametrize("family", ["line_grating", "hex_grating", "square_grating", "wrinkles", "lamellae"])
@pytest.mark.parametrize("seed", [3_200_001, 3_200_002, 3_200_003])
def test_a_periodic_sample_is_no_ripple(family, seed):
    one = twin.simulate(seed, shape=(192, 192), recipe=twin.TRAINING.on(family).all_good())

    assert found(one.scan.heights, pixel_nm=one.scan.pixel_nm) is None


@pytest.mark.parametrize("degrees", [0, 90])
@pytest.mark.parametrize("height", [0.1, 100.0])
def test_an_aligned_sine_grating_is_no_ripple(degrees, height):
    """As high as everything else in the frame, it is the sample, and not what lies under one."""
    i, j = np.indices(SIDE)
    rng = np.random.default_rng(1)
    truth = height * np.sin(2 * np.pi * 0.03 * (i if degrees == 90 else j)) + rng.normal(0, 0.02 * height, SIDE)

    assert found(truth) is None


@pytest.mark.parametrize("degrees", [0, 0.3, 0.6, 1.0])
def test_a_grating_with_walls_and_spikes_is_no_ripple(degrees):
    """Taken off as a wave with a gain, it would be gone: spikes are as high as any crest."""
    i, j = np.indices(SIDE)
    rng = np.random.default_rng(3)
    across = j * np.cos(np.radians(degrees)) + i * np.sin(np.radians(degrees))
    truth = ndimage.gaussian_filter(50.0 * (across % 24 < 12), 1) + rng.normal(0, 0.4, SIDE)
    for row, col in rng.integers(1, min(SIDE) - 4, (25, 2)):
        truth[row : row + 2, col : col + 3] += rng.uniform(25, 150)

    assert found(truth) is None


def test_no_real_scan_has_a_ripple(scans_dir):
    for path in sorted((scans_dir / "images").iterdir()):
        scan = decode(path.read_bytes(), name=path.name)

        assert found(scan.heights, pixel_nm=scan.pixel_nm) is None, path.name


def test_a_lattice_on_its_corner_is_not_taken_for_a_wave():
    rng = np.random.default_rng(1)
    down, across = np.indices((256, 256)) / (40 * 2**0.5)
    bars = np.maximum(np.abs((down + across) % 1 - 0.5), np.abs((across - down) % 1 - 0.5))
    truth = 20 * np.clip((bars - 0.3) / 0.03, 0, 1) + scenes.substrate(rng, bars.shape, rms=0.3, length=4)
    heights = truth + scenes.scanner(rng, bars.shape, relief=20, offsets=0.02, walk=0.005)
    heights += rng.normal(0, 0.1, bars.shape)

    assert found(heights) is None
    assert scenes.rms_error(level(heights, pixel_nm=2.0).heights, truth) < 0.5
