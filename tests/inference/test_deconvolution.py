"""The tip's network as the daemon runs it: bounds, scale, tiles, and weights that are refused."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from afmd.domain.tip import Tip
from afmd.errors import ModelError
from afmd.inference.deconvolution import NetworkDeconvolver, answered, network_deconvolver
from afmd.inference.manifest import Model, load_manifest
from afmd.inference.sessions import shared_session
from afmd.science.tip import erode, kernel
from afmd.science.tip.planes import ALLOWED_NOISE, NAMES, RECIPE, tip_view
from afmd.training.tipnet import TipNet
from afmd.training.tipseal import export_tip
from afmd.twin.pairs import pair, paper_b

MANIFEST = """
schema = 1

[tip]
name = "tiny-tip"
file = "tip.onnx"
sha256 = "{sha256}"
recipe = {recipe}
classes = ["depth", "spread"]
temperature = [0.7, 1.4]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tip-weights")
    torch.manual_seed(0)
    net = TipNet(planes=len(NAMES), widths=(4, 6))
    with torch.no_grad():
        net.head.weight.mul_(20)
    export_tip(net, folder / "tip.onnx", sample=np.zeros((1, len(NAMES), 32, 32), np.float32))
    sha256 = hashlib.sha256((folder / "tip.onnx").read_bytes()).hexdigest()
    (folder / "manifest.toml").write_text(MANIFEST.format(sha256=sha256, recipe=RECIPE))
    return folder


@pytest.fixture(scope="module")
def network(folder) -> NetworkDeconvolver:
    return network_deconvolver(folder, look=tip_view, recipe=RECIPE)


@pytest.fixture(scope="module")
def noisy():
    return pair(3, recipe=paper_b("misc", side=96, noise_nm=0.3))


def test_the_surface_lies_nowhere_above_the_erosion_by_more_than_noise_and_lines_allow(network, noisy):
    surface, sigma, *_ = network.restored(noisy.image, pixel_nm=noisy.pixel_nm, tip=noisy.tip)

    bound = erode(noisy.image, kernel(noisy.tip, pixel_nm=noisy.pixel_nm, relief_nm=float(np.ptp(noisy.image))))
    view = tip_view(noisy.image, pixel_nm=noisy.pixel_nm, tip=noisy.tip)
    assert surface.dtype == sigma.dtype == np.float32
    assert surface.shape == sigma.shape == noisy.image.shape
    assert (surface <= bound + view.slack + 1e-4).all()
    assert np.median(view.slack) < (ALLOWED_NOISE + 2) * view.noise_nm
    assert (surface > bound).any()
    assert (sigma > 0).all()


@pytest.mark.parametrize("factor", [0.3, 5.0])
def test_surface_and_sigma_scale_with_heights_pitch_and_radius(network, noisy, factor):
    here = network.restored(noisy.image, pixel_nm=(1.0, 1.2), tip=Tip(10.0, 22.0))
    there = network.restored(noisy.image * factor, pixel_nm=(factor, 1.2 * factor), tip=Tip(10.0 * factor, 22.0))

    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(other, one * factor, rtol=2e-3, atol=2e-3 * factor)


@pytest.mark.parametrize("shape", [(1, 40), (7, 9), (33, 65), (100, 31)])
def test_any_size_is_restored(network, shape):
    heights = np.zeros(shape, np.float32)

    surface, sigma, *_ = network.restored(heights, pixel_nm=(1.0, 1.0), tip=Tip(10.0, 22.0))

    assert surface.shape == sigma.shape == shape
    assert np.isfinite(surface).all()


def test_the_input_is_not_touched(network, noisy):
    before = noisy.image.copy()

    network.restored(noisy.image, pixel_nm=(1.0, 1.0), tip=Tip(10.0, 22.0), mask=noisy.image > 15)

    assert np.array_equal(noisy.image, before)


def test_a_fine_grid_is_seen_as_coarser_ones_interleaved(network, noisy):
    fine = tip_view(noisy.image, pixel_nm=(0.25, 0.25), tip=Tip(10.0, 22.0))

    surface, *_ = network.restored(noisy.image, pixel_nm=(0.25, 0.25), tip=Tip(10.0, 22.0))

    assert fine.stride == 3
    assert surface.shape == noisy.image.shape


def test_tiles_leave_no_seam(folder):
    session = shared_session(load_manifest(folder).model("tip"))
    planes = np.random.default_rng(0).normal(size=(len(NAMES), 40, 1000)).astype(np.float32)

    whole = session.run(np.ascontiguousarray(planes[None, :, :, 300:700]))[0]
    tiled = answered(planes, session, stride=1)[:, :, 300:700]

    np.testing.assert_allclose(tiled[:, :32, 40:-40], whole[:, :32, 40:-40], atol=0.02 * float(np.ptp(whole)))


@pytest.mark.parametrize(
    ("tip", "pixel_nm", "why"),
    [
        (Tip(3.0, 20.0), (5.0, 5.0), "0.60 pixels"),
        (Tip(10.0, 60.0), (1.0, 1.0), "half-angle of 60"),
        (Tip(10.0, 20.0), (1.0, 4.0), "too far from square"),
    ],
)
def test_what_was_never_learned_is_refused(network, noisy, tip, pixel_nm, why):
    with pytest.raises(ModelError, match=why):
        network.restored(noisy.image, pixel_nm=pixel_nm, tip=tip)


def test_changed_weights_are_refused(folder, tmp_path):
    (tmp_path / "manifest.toml").write_text(MANIFEST.format(sha256="0" * 64, recipe=RECIPE))
    (tmp_path / "tip.onnx").write_bytes((folder / "tip.onnx").read_bytes())

    with pytest.raises(ModelError, match="its SHA-256 is"):
        network_deconvolver(tmp_path, look=tip_view, recipe=RECIPE)


def test_weights_for_other_planes_are_refused(folder):
    with pytest.raises(ModelError, match="it wants planes of recipe"):
        network_deconvolver(folder, look=tip_view, recipe=RECIPE + 1)


def test_a_model_of_another_role_is_refused(folder):
    model = Model(
        role="segmenter", name="x", file=folder / "tip.onnx", sha256="", recipe=1, classes=("artifact", "feature"),
        temperature=(1.0,),
    )  # fmt: skip

    with pytest.raises(ModelError, match="it is a segmenter of artifact"):
        NetworkDeconvolver(model, look=tip_view)


@pytest.fixture(scope="module")
def own() -> NetworkDeconvolver:
    return network_deconvolver(look=tip_view, recipe=RECIPE)


@pytest.mark.parametrize("kind", ["domes", "cuboids", "misc", "fractal"])
@pytest.mark.parametrize("noise_nm", [0.0, 0.3])
def test_what_afmd_ships_is_nearer_the_truth_than_the_erosion(own, kind, noise_nm):
    made = pair(10_500_002, recipe=paper_b(kind, noise_nm=noise_nm))

    surface, sigma, *_ = own.restored(made.image, pixel_nm=made.pixel_nm, tip=made.tip)

    bound = erode(made.image, kernel(made.tip, pixel_nm=made.pixel_nm, relief_nm=float(np.ptp(made.image))))
    error, before = (float(np.abs(heights - made.surface).mean()) for heights in (surface, bound))
    assert error < 0.8 * before
    untouched = bound - made.surface > 3 * noise_nm + 0.5
    assert sigma[untouched].mean() > 1.1 * sigma[~untouched].mean()


def test_what_afmd_ships_leaves_no_seam_between_tiles(own):
    made = pair(10_500_001, recipe=replace(paper_b("fractal"), shape=(96, 704)))

    tiled, *_ = own.restored(made.image, pixel_nm=made.pixel_nm, tip=made.tip)
    whole, *_ = own.restored(made.image[:, 100:604].copy(), pixel_nm=made.pixel_nm, tip=made.tip)

    # both lines of tiles begin elsewhere; far from the shorter picture's own edges they must agree
    away = np.abs(tiled[:, 200:504] - whole[:, 100:404])
    assert away.max() < 0.1 * float(np.ptp(made.surface))
    assert away.mean() < 0.01 * float(np.ptp(made.surface))
