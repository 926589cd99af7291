"""Tiles cover every pixel once in sum, whatever the shape."""

import numpy as np
import pytest

from afmd.inference.tiling import LARGEST_SIDE, MULTIPLE, span, tiled


@pytest.mark.parametrize("length", [1, 2, 31, 32, 256, 512, 576, 577, 640, 1024, 1500, 4096])
def test_weights_add_to_one_everywhere(length):
    cover = span(length)
    total = np.zeros(max(length, cover.side))
    for index, start in enumerate(cover.starts):
        total[start : start + cover.side] += cover.ramp(index)

    np.testing.assert_allclose(total[:length], 1, atol=1e-6)
    assert cover.side % MULTIPLE == 0
    assert cover.side <= LARGEST_SIDE


@pytest.mark.parametrize(("length", "count"), [(512, 1), (576, 1), (577, 2), (1024, 2), (2048, 4)])
def test_as_few_tiles_as_will_do(length, count):
    assert len(span(length).starts) == count


@pytest.mark.parametrize("shape", [(40, 50), (700, 600), (100, 1300)])
def test_a_pointwise_function_comes_back_untouched(shape):
    image = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)

    blended = tiled(image, lambda tile: tile[:2] * 2)

    np.testing.assert_allclose(blended, image[:2] * 2, atol=1e-5)


def test_all_tiles_of_a_scan_have_one_shape():
    shapes = set()

    def predict(tile):
        shapes.add(tile.shape)
        return tile[:1]

    tiled(np.zeros((1, 1300, 900), np.float32), predict)

    assert len(shapes) == 1
