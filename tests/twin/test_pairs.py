"""Pairs for tip deconvolution: the image is what the daemon's own tip records, and nothing but the seed decides."""

import numpy as np
import pytest

from afmd.domain.tip import Tip
from afmd.science.tip import dilate, kernel
from afmd.twin.pairs import KINDS, PAPER_KINDS, TRAINING, imaged, pair, paper_b


@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_seed_gives_the_same_pair(seed):
    one, other = pair(seed, recipe=TRAINING), pair(seed, recipe=TRAINING)

    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.surface, other.surface)
    assert one.parameters == other.parameters


def test_another_seed_gives_another_pair():
    recipe = paper_b("misc", side=64)

    assert not np.array_equal(pair(1, recipe=recipe).surface, pair(2, recipe=recipe).surface)


@pytest.mark.parametrize("form", ["cone", "paraboloid", "pyramid"])
@pytest.mark.parametrize("pixel_nm", [(1.0, 1.0), (0.7, 1.6)])
def test_the_image_is_the_dilation_by_the_daemons_own_tip(form, pixel_nm):
    surface = pair(5, recipe=paper_b("misc", side=64)).surface.astype(np.float64)
    tip = Tip(6.0, 20.0, form)

    recorded = dilate(surface, kernel(tip, pixel_nm=pixel_nm, relief_nm=float(np.ptp(surface))))

    np.testing.assert_allclose(imaged(surface, tip, pixel_nm=pixel_nm), recorded, atol=1e-5)


@pytest.mark.parametrize("kind", PAPER_KINDS)
def test_inside_the_frame_the_pair_is_exact(kind):
    made = pair(2, recipe=paper_b(kind, side=96))
    inner = (slice(40, -40), slice(40, -40))

    np.testing.assert_allclose(imaged(made.surface, made.tip, pixel_nm=(1.0, 1.0))[inner], made.exact[inner], atol=1e-4)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_image_lies_below_its_surface(kind):
    recipe = TRAINING.__class__(kinds={kind: 1.0}, shape=(48, 48), pixel_nm=(0.3, 5.0), published=0.5, finer=0.5)
    for seed in range(3):
        made = pair(seed, recipe=recipe)
        assert np.isfinite(made.image).all()
        assert (made.exact >= made.surface - 1e-4).all()


def test_the_published_bodies_have_the_published_sizes():
    made = pair(1, recipe=paper_b("cylinders", side=256))
    heights = np.unique(made.surface[made.surface > 0])

    assert heights.min() >= 14
    assert heights.max() <= 22


def test_the_published_fractal_is_as_rough_as_published():
    roughness = [float(np.abs(s - s.mean()).mean()) for s in (_fractal(seed) for seed in range(12))]

    assert np.mean(roughness) == pytest.approx(4.0, abs=0.25)


def test_faults_spoil_the_image_and_leave_the_surface():
    clean, spoilt = (pair(4, recipe=paper_b("domes", faults=faults)) for faults in (False, True))

    assert np.array_equal(clean.surface, spoilt.surface)
    assert np.array_equal(clean.exact, spoilt.exact)
    assert np.abs(spoilt.image - spoilt.exact).max() > 0.1


def test_noise_is_as_strong_as_asked():
    made = pair(4, recipe=paper_b("domes", noise_nm=0.3))

    assert (made.image - made.exact).std() == pytest.approx(0.3, rel=0.03)


def _fractal(seed):
    return pair(seed, recipe=paper_b("fractal", side=192)).surface.astype(np.float64)
