"""What is written reads back, here and in Gwyddion; what cannot be held is an error."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from real_scans import IMAGES, gwyddion_reads, header_of, needs_gwyddion

from afmd.domain.scan import Channel, Direction, Frame
from afmd.errors import HeightOverflow, InvalidInput, NoScanData, UnfinishedScan
from afmd.files.nanoscope import decode, encode, promised_bytes, read_scan, replace_heights

sides = st.integers(2, 12)
values = st.floats(-1e6, 1e6, width=32)
names = st.sampled_from(
    ["Height Sensor", "Height", "Amplitude", "Amplitude Error", "Phase", "Zsens", "A: b (c)", "x" * 90]
)
pitches = st.floats(1e-3, 1e3)


@st.composite
def channels(draw: st.DrawFn) -> list[Channel]:
    shape = draw(st.tuples(sides, sides))
    found = [
        Channel("Height", draw(st.sampled_from(Direction)), "nm", draw(arrays(np.float32, shape, elements=values)))
    ]
    for _ in range(draw(st.integers(0, 3))):
        unit = draw(st.sampled_from(["nm", "V", "mV", "°", "Arb"]))
        data = draw(arrays(np.float32, shape, elements=values))
        found.append(Channel(draw(names), draw(st.sampled_from(Direction)), unit, data))
    return found


def step(values: np.ndarray, bits: int) -> float:
    """The scale's step for a channel whose largest value just fits."""
    return 2.1 * max(float(np.abs(values).max()), 1e-30) / 2.0**bits


@settings(max_examples=200, deadline=None)
@given(
    written=channels(),
    pitch=st.tuples(pitches, pitches),
    frame=st.sampled_from(Frame),
    width=st.sampled_from([2, 4]),
    more=st.integers(0, 3),
)
def test_what_is_written_reads_back(
    written: list[Channel], pitch: tuple[float, float], frame: Frame, width: int, more: int
) -> None:
    rows = len(written[0].values)

    data = encode(written, pixel_nm=pitch, frame=frame, rows_expected=rows + more, bytes_per_value=width)
    scan = decode(data, name="a")

    assert promised_bytes(data) == len(data)
    assert (scan.frame, scan.partial, scan.rows_expected) == (frame, more > 0, rows + more)
    assert scan.pixel_nm == pytest.approx(pitch, rel=1e-8)
    assert [(c.direction, c.unit) for c in scan.channels] == [(c.direction, c.unit) for c in written]
    for ours, theirs in zip(scan.channels, written, strict=True):
        bits = 32 if width == 4 and theirs.unit == "nm" else 16
        rounding = float(np.spacing(np.abs(theirs.values).max()))
        np.testing.assert_allclose(ours.values, theirs.values, rtol=0, atol=step(theirs.values, bits) / 2 + rounding)


@settings(max_examples=60, deadline=None)
@given(written=channels(), share=st.floats(0, 1, exclude_max=True), width=st.sampled_from([2, 4]))
def test_no_prefix_of_a_file_passes_for_the_whole(written: list[Channel], share: float, width: int) -> None:
    data = encode(written, pixel_nm=1, bytes_per_value=width)
    prefix = data[: int(share * len(data))]

    assert promised_bytes(prefix) in (None, len(data))
    with pytest.raises((UnfinishedScan, NoScanData)):
        decode(prefix, name="a")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60))
def test_no_text_breaks_the_header(text: str) -> None:
    heights = np.arange(6, dtype=np.float32).reshape(2, 3)
    written = [Channel("Height", Direction.TRACE, "nm", heights), Channel(text, Direction.TRACE, "V", heights + 1)]

    scan = decode(encode(written, pixel_nm=1, note=text), name="a")

    assert len(scan.channels) == 2
    np.testing.assert_allclose(scan.channels[1].values, heights + 1, atol=1e-3)


def test_date_version_and_note_are_told() -> None:
    heights = np.zeros((2, 2), dtype=np.float32)
    date = datetime(2019, 9, 26, 16, 6, 25)

    meta = decode(
        encode([_height(heights)], pixel_nm=1, version="0x010000106", note="parachuting", date=date), name="a"
    ).meta

    assert meta["date"] == "04:06:25 PM Thu Sep 26 2019"
    assert (meta["version"], meta["note"]) == ("10.00", "parachuting")


def test_forty_channels_fit_behind_a_longer_header() -> None:
    heights = np.arange(4, dtype=np.float32).reshape(2, 2)

    data = encode([_height(heights) for _ in range(40)], pixel_nm=1)

    assert len(decode(data, name="a").channels) == 40
    assert len(header_of(data)) > 20_000


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ([], {}),
        ([np.zeros((1, 5))], {}),
        ([np.full((2, 2), np.nan)], {}),
        ([np.full((2, 2), 1e35)], {}),
        ([np.zeros((2, 2))], {"bytes_per_value": 3}),
        ([np.zeros((2, 2))], {"version": "9.1\r\n\\*File list end"}),
        ([np.zeros((2, 2))], {"pixel_nm": 0.0}),
    ],
)
def test_what_makes_no_file_is_refused(written: list[np.ndarray], options: dict) -> None:
    with pytest.raises(InvalidInput):
        encode([_height(h.astype(np.float32)) for h in written], **{"pixel_nm": 1.0, **options})


@needs_gwyddion
@pytest.mark.parametrize("width", [2, 4])
def test_gwyddion_reads_what_we_write(width: int, tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    heights = dice.normal(50, 20, (24, 40)).astype(np.float32)
    written = [
        Channel("Height Sensor", Direction.TRACE, "nm", heights),
        Channel("Height Sensor", Direction.RETRACE, "nm", heights + 1),
        Channel("Phase", Direction.TRACE, "°", heights * 2),
        Channel("Adhesion", Direction.TRACE, "nm", heights / 7),
    ]
    source = tmp_path / "made.spm"
    source.write_bytes(encode(written, pixel_nm=(2.5, 1.25), bytes_per_value=width))

    ours, theirs = read_scan(source), gwyddion_reads(source, tmp_path)

    assert len(theirs) == 4
    for channel, (read, pitch, unit) in zip(ours.channels, theirs, strict=True):
        np.testing.assert_allclose(read * (1e9 if unit == "m" else 1), channel.values, rtol=0, atol=1e-5)
        assert np.multiply(pitch, 1e9) == pytest.approx((2.5, 1.25))


@pytest.mark.parametrize("name", IMAGES)
def test_replacing_heights_by_themselves_changes_only_the_note(name: str, scans_dir: Path) -> None:
    original = (scans_dir / "images" / name).read_bytes()
    scan = decode(original, name="a")

    copy = replace_heights(original, scan.heights, note="levelled by afmd")
    changed = np.flatnonzero(np.frombuffer(original, np.uint8) != np.frombuffer(copy, np.uint8))

    end = original.index(b"\x1a")
    assert len(copy) == len(original)
    assert copy[end + 1 :].startswith(b"\\History: levelled by afmd\r\n\x1a")
    in_note = (changed > end) & (changed < end + 40)
    if name == "di-5.di":
        assert np.abs(decode(copy, name="a").heights - scan.heights).max() <= np.spacing(np.float32(322))
    else:
        assert in_note.all()


@pytest.mark.parametrize("name", IMAGES)
def test_replaced_heights_read_back_and_nothing_else_moves(name: str, scans_dir: Path) -> None:
    original = (scans_dir / "images" / name).read_bytes()
    scan = decode(original, name="a")
    levelled = scan.heights * np.float32(0.5)

    copy = decode(replace_heights(original, levelled, note=""), name="a")

    index = next(i for i, c in enumerate(scan.channels) if c.values is scan.heights)
    quantum = np.diff(np.unique(scan.heights)).min() if name != "di-5.di" else 1e-4
    np.testing.assert_allclose(copy.heights, levelled, rtol=0, atol=0.51 * quantum + 1e-4)
    assert dict(copy.meta) == dict(scan.meta)
    for i, (ours, theirs) in enumerate(zip(copy.channels, scan.channels, strict=True)):
        assert i == index or np.array_equal(ours.values, theirs.values)


@needs_gwyddion
@pytest.mark.parametrize("name", ["di-1.di", "di-5.di"])
def test_gwyddion_reads_the_replaced_heights(name: str, scans_dir: Path, tmp_path: Path) -> None:
    original = (scans_dir / "images" / name).read_bytes()
    heights = decode(original, name="a").heights[::-1].copy()
    copy = tmp_path / "copy.spm"
    copy.write_bytes(replace_heights(original, heights, note="turned over"))

    read, _, _ = gwyddion_reads(copy, tmp_path)[0]

    np.testing.assert_allclose(read * 1e9, heights, rtol=0, atol=1e-4)


@pytest.mark.parametrize("spoil", [1e9, -1e9, np.nan, np.inf])
def test_heights_that_the_scale_cannot_hold_overflow_loudly(spoil: float, scans_dir: Path) -> None:
    original = (scans_dir / "images" / "old_bruker.002").read_bytes()
    heights = decode(original, name="a").heights.copy()
    heights[3, 5] = spoil

    with pytest.raises(HeightOverflow, match="2-byte scale"):
        replace_heights(original, heights, note="")


def test_the_whole_integer_range_can_be_used(scans_dir: Path) -> None:
    original = (scans_dir / "images" / "old_bruker.002").read_bytes()
    start = original.index(b"\x1a")
    extremes = np.tile(np.array([-32768, 32767], dtype="<i2"), 256 * 128)
    full = original[:40960] + extremes.tobytes()

    assert replace_heights(full, decode(full, name="a").heights, note="")[start:] == full[start:]


def test_a_stopped_capture_keeps_its_missing_rows(scans_dir: Path) -> None:
    original = (scans_dir / "images" / "old_bruker.002").read_bytes()
    stopped = original.replace(b"\\Valid data len Y: 256", b"\\Valid data len Y: 040")
    heights = decode(stopped, name="a").heights

    copy = replace_heights(stopped, heights * 0, note="")

    assert not any(copy[40960 : 40960 + 40 * 512])
    assert copy[40960 + 40 * 512 :] == stopped[40960 + 40 * 512 :]


def test_a_note_that_does_not_fit_is_left_out(scans_dir: Path) -> None:
    original = (scans_dir / "images" / "old_bruker.002").read_bytes()
    heights = decode(original, name="a").heights

    assert replace_heights(original, heights, note="x" * 40_000) == original


def test_heights_of_another_shape_are_refused(scans_dir: Path) -> None:
    original = (scans_dir / "images" / "old_bruker.002").read_bytes()

    with pytest.raises(InvalidInput, match="shape"):
        replace_heights(original, np.zeros((4, 4), dtype=np.float32), note="")


def _height(values: np.ndarray) -> Channel:
    return Channel("Height", Direction.TRACE, "nm", values)
