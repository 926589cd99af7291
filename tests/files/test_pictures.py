"""Pictures: their size, what must be seen in them, and that anybody may ask at any time."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from restorations import file_of, restoration_of, scan_of

from afmd.domain.findings import Label
from afmd.domain.ports import StoredArray
from afmd.errors import InvalidInput
from afmd.files import colours
from afmd.files.picture_parts import Box, length_text, limits, reduced, reduced_mask, round_length
from afmd.files.pictures import MASK_COLOUR, Pictures, panels

SIDE = Box(0, 0, 100, 100)


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def drawn(
    values: np.ndarray, *, unit: str = "nm", pitch: tuple[float, float] = (1, 1), **options: object
) -> np.ndarray:
    asked = {"longest_px": 300, "colour_map": "", "title": "a scan", **options}
    return opened(Pictures().image(StoredArray(values, unit, pitch), **asked))


def bumps(rows: int = 50, cols: int = 50) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, cols)).cumsum(axis=0).astype(np.float32)


@pytest.mark.parametrize("shape", [(50, 50), (8, 400), (400, 8), (700, 900)])
@pytest.mark.parametrize("longest_px", [64, 333, 1000])
@pytest.mark.parametrize("unit", ["nm", "1"])
def test_the_longer_side_is_as_asked(shape: tuple[int, int], longest_px: int, unit: str) -> None:
    values = bumps(*shape) if unit == "nm" else bumps(*shape) > 0

    assert max(drawn(values, unit=unit, longest_px=longest_px).shape[:2]) == pytest.approx(longest_px, abs=1)


def test_pixels_that_are_not_square_are_drawn_so() -> None:
    mask = np.ones((50, 50), dtype=bool)
    wide = drawn(mask, unit="1", pitch=(1, 2), longest_px=600, title="")
    red = np.abs(wide - _rgb(MASK_COLOUR)).sum(axis=2) < 60

    assert np.ptp(np.flatnonzero(red.any(axis=0))) == pytest.approx(
        2 * np.ptp(np.flatnonzero(red.any(axis=1))), rel=0.02
    )


@pytest.mark.parametrize("values", [np.zeros((9, 9)), np.full((9, 9), 1e6), np.full((9, 9), -3e-9)])
def test_a_constant_array_has_a_picture(values: np.ndarray) -> None:
    assert drawn(values.astype(np.float32)).std() > 1


def test_an_unknown_colour_map_is_refused() -> None:
    with pytest.raises(InvalidInput, match="viridis"):
        drawn(bumps(), colour_map="jet")


def test_a_picture_too_small_to_read_is_refused() -> None:
    with pytest.raises(InvalidInput, match="64"):
        drawn(bumps(), longest_px=10)


@pytest.mark.parametrize("name", colours.NAMES)
def test_every_colour_map_draws_low_darker_than_high(name: str) -> None:
    luminance = colours.table(name) @ [0.2126, 0.7152, 0.0722]

    assert (np.diff(luminance) > -1e-3).all()
    assert luminance[-1] - luminance[0] > 0.5


def test_equal_steps_in_height_are_equal_steps_in_lightness() -> None:
    lightness = _lightness(colours.table(colours.DEFAULT))

    assert np.abs(lightness - np.linspace(lightness[0], lightness[-1], 256)).max() < 1.5


def test_a_spike_does_not_flatten_the_picture() -> None:
    values = bumps(200, 200)
    values[7, 7] = 1e6

    assert limits(values)[1] < 100


def test_no_scar_is_lost_in_a_small_picture() -> None:
    mask = np.zeros((4096, 4096), dtype=bool)
    mask[1234] = True

    assert reduced_mask(mask, SIDE).any(axis=1).sum() in (1, 2)
    assert reduced_mask(mask, SIDE).any(axis=0).all()


def test_reducing_keeps_the_mean_and_never_enlarges() -> None:
    values = bumps(300, 200)

    assert reduced(values, SIDE).shape == (100, 100)
    assert reduced(values, SIDE).mean() == pytest.approx(values.mean(), rel=1e-4)
    assert reduced(values[:20, :30], SIDE).shape == (20, 30)


@pytest.mark.parametrize(
    ("nm", "told"), [(170, "100 nm"), (0.9, "500 pm"), (2000, "2 µm"), (7.7e6, "5 mm"), (50, "50 nm")]
)
def test_bars_have_round_lengths(nm: float, told: str) -> None:
    assert length_text(round_length(nm)) == told


@pytest.mark.parametrize("title", ["", "$x^2$ 50 %", "扫描 7", "x" * 400, "two\nlines"])
def test_any_title_can_be_drawn(title: str) -> None:
    drawn(bumps(), title=title)


def test_the_six_panels_show_masks_and_heights() -> None:
    scan = scan_of(file_of())

    picture = opened(panels(scan, restoration_of(scan)))

    assert picture.shape[1:] == (2000, 3)
    assert _share_of(picture, "#f07f13") > 1e-4
    assert _share_of(picture, "#e0245e") > 1e-4


def test_a_lost_line_that_is_masked_does_not_drown_the_surface() -> None:
    scan = scan_of(file_of())
    lost = scan.heights.copy()
    lost[2, 3:20] = -1e5
    restoration = restoration_of(scan)

    plain, spoilt = (opened(panels(s, restoration)) for s in (scan, replace(scan, heights=lost, channels=())))

    panel_a = np.s_[200:700, 50:550]
    assert (np.abs(plain[panel_a] - spoilt[panel_a]).sum(axis=2) < 40).mean() > 0.9


@pytest.mark.parametrize("label", Label)
def test_every_class_has_its_panels(label: Label) -> None:
    scan = scan_of(file_of(rows_expected=90), name="$weird_name$ 扫描" * 9)

    panels(scan, restoration_of(scan, label=label))
    panels(scan, replace(restoration_of(scan, label=label, refusal="71 % is spoilt"), abstained=True))


@pytest.mark.parametrize("shape", [(2, 2), (3, 300), (300, 3)])
def test_every_shape_has_its_panels(shape: tuple[int, int]) -> None:
    scan = scan_of(file_of((24, 24)))
    heights = np.resize(scan.heights, shape)
    scan = replace(scan, heights=heights, channels=(), retrace=None)
    mask = heights > 5

    made = restoration_of(scan_of(file_of((24, 24))))
    panels(scan, replace(made, raw_mask=mask, mask=mask, touched=mask, restored=heights, flattened=heights))


def test_the_same_restoration_gives_the_same_picture_from_any_thread() -> None:
    scan = scan_of(file_of())
    restoration = restoration_of(scan)
    start = threading.Barrier(3)

    def draw(_: int) -> bytes:
        start.wait()
        return panels(scan, restoration)

    with ThreadPoolExecutor(3) as pool:
        pictures = list(pool.map(draw, range(3)))

    assert pictures[0] == pictures[1] == pictures[2]


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def _share_of(picture: np.ndarray, colour: str) -> float:
    return float((np.abs(picture - _rgb(colour)).sum(axis=2) < 90).mean())


def _lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.where(y > (6 / 29) ** 3, np.cbrt(y), y / (3 * (6 / 29) ** 2) + 4 / 29) - 16
