"""The reader against real files, against an independent reader, and against headers that lie."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from real_scans import (
    IMAGES,
    edited,
    first_data,
    gwyddion_reads,
    header_of,
    needs_gwyddion,
    only_channels,
    shrunk,
    without,
)

from afmd.domain.scan import Direction, Frame
from afmd.errors import (
    LimitReached,
    MalformedHeader,
    MangledScan,
    NoHeightChannel,
    NoScanData,
    NotAnImage,
    NotNanoScope,
    ScanError,
    StorageError,
    UnfinishedScan,
)
from afmd.files.nanoscope import decode, promised_bytes, read_scan

REFUSED = {
    "damaged/bruker_data_header.000": NoScanData,
    "damaged/bruker_data_header.001": NoScanData,
    "damaged/bruker_data_header.002": NoScanData,
    "damaged/bruker_data_header.003": NoScanData,
    "damaged/di_corrupted.di": UnfinishedScan,
    "damaged/example1.di": MangledScan,
    "damaged/full_multiple_images__b216a43.txt": MangledScan,
    "not_images/20200903_Egel2.0_00023.spm": NotAnImage,
    "not_images/20200904_Egel4-Z1.0_00025.spm": NotAnImage,
    "not_images/force_bruker.001": NotAnImage,
}


@pytest.fixture(scope="module")
def trace_and_retrace(scans_dir: Path) -> bytes:
    return (scans_dir / "images" / "di-1.di").read_bytes()


@pytest.fixture(scope="module")
def both_heights(scans_dir: Path) -> bytes:
    return (scans_dir / "images" / "di-3.di").read_bytes()


@pytest.fixture(scope="module")
def one_channel(scans_dir: Path) -> bytes:
    return (scans_dir / "images" / "old_bruker.002").read_bytes()


def test_every_shared_scan_is_tested_here(scans_dir: Path) -> None:
    assert {p.name for p in (scans_dir / "images").iterdir()} == set(IMAGES)
    assert {f"{d}/{p.name}" for d in ("damaged", "not_images") for p in (scans_dir / d).iterdir()} == set(REFUSED)


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_reads_as_the_catalogue_says(name: str, scans_dir: Path) -> None:
    with (scans_dir / "CATALOGUE.csv").open(encoding="utf-8") as catalogue:
        row = next(r for r in csv.DictReader(catalogue) if r["file"] == f"images/{name}")

    scan = read_scan(scans_dir / "images" / name)

    signals = [f"{c.name}/{c.direction.capitalize()}" for c in scan.channels]
    frame_nm = np.array([float(row["scan_y"]), float(row["scan_x"])]) * {"nm": 1, "~m": 1000}[row["scan_unit"]]
    heights = scan.channels[signals.index(f"{row['height_channel']}/{row['line_direction']}")].values
    assert signals == row["channels"].split("; ")
    assert scan.heights.shape == (int(row["rows_stored"]), int(row["samples_per_line"]))
    assert scan.heights.dtype == np.float32
    assert scan.frame == row["frame_direction"].casefold()
    assert np.multiply(scan.pixel_nm, scan.heights.shape) == pytest.approx(frame_nm)
    assert not scan.partial
    assert np.percentile(heights, [1, 99]) == pytest.approx(
        [float(row["height_p1_nm"]), float(row["height_p99_nm"])], abs=0.011
    )


@needs_gwyddion
@pytest.mark.parametrize("name", IMAGES)
def test_every_channel_agrees_with_gwyddion(name: str, scans_dir: Path, tmp_path: Path) -> None:
    scan = read_scan(scans_dir / "images" / name)

    oracle = gwyddion_reads(scans_dir / "images" / name, tmp_path)

    assert len(oracle) == len(scan.channels)
    for channel, (values, pitch, unit) in zip(scan.channels, oracle, strict=True):
        assert (unit == "m") == (channel.unit == "nm")
        assert_same_to_float32(channel.values, values * (1e9 if unit == "m" else 1))
        assert np.multiply(pitch, 1e9) == pytest.approx(scan.pixel_nm)


def assert_same_to_float32(ours: np.ndarray, theirs: np.ndarray) -> None:
    """1e-6 of the range, and the half step that float32 itself cannot avoid (it shows at 500 nm ± 15 nm)."""
    half_step = np.spacing(np.float32(np.abs(theirs).max())) / 2
    assert np.abs(ours - theirs).max() <= 1e-6 * np.ptp(theirs) + half_step


@pytest.mark.parametrize(("name", "kind"), REFUSED.items())
def test_every_other_file_is_refused_with_the_true_reason(name: str, kind: type[ScanError], scans_dir: Path) -> None:
    with pytest.raises(ScanError) as caught:
        read_scan(scans_dir / name)

    assert type(caught.value) is kind
    assert Path(name).name in caught.value.what


def test_row_0_is_the_last_stored_row(one_channel: bytes) -> None:
    raw = np.frombuffer(one_channel, dtype="<i2", offset=first_data(one_channel)).reshape(256, 256)

    heights = decode(one_channel, name="a").heights

    assert np.corrcoef(heights[0], raw[-1])[0, 1] == pytest.approx(1)
    assert np.corrcoef(heights[-1], raw[0])[0, 1] == pytest.approx(1)


def test_both_passes_of_the_height_are_paired(trace_and_retrace: bytes) -> None:
    scan = decode(trace_and_retrace, name="a")

    assert scan.direction is Direction.TRACE
    assert scan.heights is scan.channels[0].values
    assert scan.retrace is scan.channels[1].values


def test_the_trace_is_the_height_even_where_the_retrace_is_stored_first(trace_and_retrace: bytes) -> None:
    swapped = edited(
        trace_and_retrace,
        ("Line Direction: Trace", "Line Direction: ?"),
        ("Line Direction: Retrace", "Line Direction: Trace"),
        ("Line Direction: ?", "Line Direction: Retrace"),
    )

    scan = decode(swapped, name="a")

    assert scan.heights is scan.channels[1].values
    assert scan.retrace is scan.channels[0].values
    assert scan.direction is Direction.TRACE


def test_a_retrace_without_a_trace_is_the_height(trace_and_retrace: bytes) -> None:
    scan = decode(only_channels(trace_and_retrace, 1, 2), name="a")

    assert scan.direction is Direction.RETRACE
    assert scan.retrace is None


def test_the_closed_loop_height_goes_first(both_heights: bytes) -> None:
    scan = decode(both_heights, name="a")

    assert scan.heights is scan.channels[0].values
    assert [c.name for c in scan.channels] == ["Height Sensor", "Amplitude Error", "Phase", "Height"]
    assert scan.retrace is None, "another signal's retrace is not the height's"


def test_a_pass_lifted_off_the_surface_is_no_retrace(scans_dir: Path) -> None:
    data = (scans_dir / "images" / "di-2.di").read_bytes()
    lifted = edited(data, ('[InterleaveOffMode] "Disabled"', '[LiftMode] "Lift"'))

    assert decode(data, name="a").retrace is not None
    assert decode(lifted, name="a").retrace is None


def test_the_hard_value_scales_the_heights_not_the_step_in_round_brackets(trace_and_retrace: bytes) -> None:
    other_step = edited(trace_and_retrace, ("(0.005035400 V/LSB)", "(0.1 V/LSB)"))
    doubled = edited(trace_and_retrace, ("2.910461 V", "5.820922 V"))

    heights = decode(trace_and_retrace, name="a").heights

    np.testing.assert_array_equal(decode(other_step, name="a").heights, heights)
    np.testing.assert_allclose(decode(doubled, name="a").heights, 2 * heights, rtol=1e-6)


def test_a_longer_name_of_a_sensitivity_is_another_one(both_heights: bytes) -> None:
    scan = decode(both_heights, name="a")

    sensor, scanner = (np.ptp(scan.channels[i].values) / _raw_range(both_heights, i) for i in (0, 3))

    assert sensor == pytest.approx(24.57563 / 65536 * 790.3658, rel=1e-5)
    assert scanner == pytest.approx(329.9950 / 65536 * 34.55678, rel=1e-5)


def _raw_range(data: bytes, channel: int) -> int:
    offset = int(re.findall(rb"\\Data offset: (\d+)", data)[channel])
    return int(np.ptp(np.frombuffer(data, dtype="<i2", count=256 * 256, offset=offset).astype(int)))


def test_the_stored_width_follows_from_the_length_not_from_bytes_per_pixel(scans_dir: Path) -> None:
    wide = shrunk((scans_dir / "damaged" / "bruker_data_header.002").read_bytes())

    scan = decode(wide, name="a")

    assert b"\\Bytes/pixel: 2" in wide
    assert all(c.values.shape == (16, 16) for c in scan.channels)
    assert len({c.name for c in scan.channels}) == 8


def test_without_its_sensitivity_a_height_is_in_volts_and_no_height(one_channel: bytes) -> None:
    with pytest.raises(NoHeightChannel, match="Height in V"):
        decode(without(one_channel, "@Sens. Zscan"), name="a")


def test_other_signals_keep_the_hard_values_unit(both_heights: bytes) -> None:
    assert [c.unit for c in decode(both_heights, name="a").channels] == ["nm", "mV", "°", "nm"]


def test_contradicting_sensitivities_are_refused(one_channel: bytes) -> None:
    twice = edited(one_channel, ("\\*Ciao scan list\r\n", "\\*Ciao scan list\r\n\\@Sens. Zscan: V 99.0 nm/V\r\n"))

    with pytest.raises(MalformedHeader, match=r"Sens\. Zscan.*2 times"):
        decode(twice, name="a")


def test_pixels_are_not_square_where_the_frame_says_so(one_channel: bytes) -> None:
    size, ratio = ("Scan size: 15 15 ~m", "Aspect ratio: 1:1")

    def pitch(*changes: tuple[str, str]) -> tuple[float, float]:
        return decode(edited(one_channel, *changes), name="a").pixel_nm

    assert pitch() == pytest.approx((58.59375, 58.59375))
    assert pitch((size, "Scan size: 500 250 nm")) == pytest.approx((250 / 256, 500 / 256))
    assert pitch((size, "Scan size: 500 nm"), (ratio, "Aspect ratio: 2:1")) == pytest.approx((250 / 256, 500 / 256))
    assert pitch((size, "Scan size: 500 nm"), (ratio, "Aspect ratio: 1:0.51")) == pytest.approx((255 / 256, 500 / 256))
    assert pitch((size, "Scan size: 0.5 µm")) == pytest.approx((500 / 256, 500 / 256))


@pytest.mark.parametrize("text", ["15 15", "15 15 V", "nm", "", "0 0 nm", "-1 -1 nm", "1e99 1e99 ~m"])
def test_no_pixel_size_is_ever_assumed(text: str, one_channel: bytes) -> None:
    lost = edited(without(one_channel, "Scan size"), ("\\Samps/line", f"\\Scan size: {text}\r\n\\Samps/line"))

    with pytest.raises(MalformedHeader, match="Scan Size"):
        decode(lost, name="a")


def test_a_capture_stopped_early_is_read_to_the_rows_that_exist(one_channel: bytes) -> None:
    changes = ("\\Valid data len Y: 256", "\\Valid data len Y: 40"), ("\\Data length: 131072", "\\Data length: 20480")
    stopped = edited(one_channel, *changes)[: first_data(one_channel) + 20480]

    scan, whole = decode(stopped, name="a"), decode(one_channel, name="a")

    assert scan.partial
    assert (scan.heights.shape, scan.rows_expected) == ((40, 256), 256)
    assert scan.pixel_nm == whole.pixel_nm
    np.testing.assert_array_equal(scan.heights, whole.heights[-40:])


def _with_made_up_data(header: bytes) -> bytes:
    """A real header whose data are lost, with noise for data."""
    text = header.replace(b"\n", b"\r\n") + b"\r\n\x1a"
    places = re.findall(rb"Data offset: (\d+)\r\n\\Data length: (\d+)", text)
    noise = np.random.default_rng(0).integers(0, 256, sum(int(length) for _, length in places), dtype=np.uint8)
    return text.ljust(int(places[0][0]), b"\0") + noise.tobytes()


def test_a_capture_stopped_early_keeps_its_pixel_pitch_where_the_header_counts_fewer_lines(scans_dir: Path) -> None:
    stopped = _with_made_up_data((scans_dir / "damaged" / "bruker_data_header.002").read_bytes())

    scan = decode(stopped, name="a")

    assert (scan.heights.shape, scan.rows_expected) == ((358, 512), 512)
    assert scan.pixel_nm == pytest.approx((300 / 512, 300 / 512))


@needs_gwyddion
@pytest.mark.parametrize("number", ["000", "002", "003"])
def test_gwyddion_agrees_on_headers_whose_data_are_lost(number: str, scans_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "refilled.spm"
    path.write_bytes(_with_made_up_data((scans_dir / "damaged" / f"bruker_data_header.{number}").read_bytes()))
    scan = read_scan(path)

    oracle = gwyddion_reads(path, tmp_path)

    assert len(oracle) == len(scan.channels)
    for channel, (values, pitch, unit) in zip(scan.channels, oracle, strict=True):
        assert (unit == "m") == (channel.unit == "nm")
        if unit == "m":
            assert_same_to_float32(channel.values, values * 1e9)
        assert np.multiply(pitch, 1e9) == pytest.approx(scan.pixel_nm)


def test_rows_never_captured_are_left_out_where_the_block_has_room_for_all(one_channel: bytes) -> None:
    scan = decode(edited(one_channel, ("\\Valid data len Y: 256", "\\Valid data len Y: 40")), name="a")

    assert (scan.heights.shape, scan.rows_expected) == ((40, 256), 256)
    np.testing.assert_array_equal(scan.heights, decode(one_channel, name="a").heights[-40:])


def test_the_frames_direction_is_told(one_channel: bytes) -> None:
    assert decode(one_channel, name="a").frame is Frame.UP
    assert decode(edited(one_channel, ("direction: Up", "direction: Down")), name="a").frame is Frame.DOWN


def test_the_header_tells_what_a_microscopist_asks(both_heights: bytes) -> None:
    meta = decode(both_heights, name="a").meta

    assert (meta["version"], meta["date"]) == ("9.01", "01:33:51 PM Mon Dec 15 2014")
    assert (meta["instrument"], meta["mode"], meta["medium"]) == ("Dimension Icon", "Tapping", "Air")
    assert (meta["scan_rate_hz"], meta["setpoint"], meta["integral_gain"]) == ("0.99853", "607.217 mV", "3.08572")


def test_versions_have_eight_or_nine_digits(scans_dir: Path) -> None:
    assert read_scan(scans_dir / "images" / "di-5.di").meta["version"] == "10.00"
    assert read_scan(scans_dir / "images" / "di-4.di").meta["version"] == "5.12"


@pytest.mark.parametrize("cut", [0, 5, 11, 300, 12000, 12330])
def test_a_header_that_breaks_off_is_unfinished(cut: int, one_channel: bytes) -> None:
    assert promised_bytes(one_channel[:cut]) is None
    with pytest.raises(UnfinishedScan):
        decode(one_channel[:cut], name="a")


@pytest.mark.parametrize("cut", [12341, 12343, 40000, 40960])
def test_a_header_alone_promises_its_data_and_is_no_scan(cut: int, one_channel: bytes) -> None:
    assert promised_bytes(one_channel[:cut]) == len(one_channel)
    with pytest.raises(NoScanData):
        decode(one_channel[:cut], name="a")


@pytest.mark.parametrize("missing", [1, 2, 100_000])
def test_data_that_end_early_are_unfinished(missing: int, one_channel: bytes) -> None:
    with pytest.raises(UnfinishedScan, match=str(len(one_channel))):
        decode(one_channel[:-missing], name="a")


def test_bytes_behind_the_last_channel_do_no_harm(one_channel: bytes) -> None:
    scan = decode(one_channel + b"trailer\r\n" * 9, name="a")

    np.testing.assert_array_equal(scan.heights, decode(one_channel, name="a").heights)


def test_newlines_converted_either_way_are_told_from_truncation(one_channel: bytes) -> None:
    with pytest.raises(MangledScan, match="into CRLF"):
        decode(re.sub(rb"(?<!\r)\n", b"\r\n", one_channel), name="a")
    with pytest.raises(MangledScan, match="into LF"):
        decode(one_channel.replace(b"\r\n", b"\n"), name="a")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GWYPGwyContainer", NotNanoScope),
        (b"\x89PNG\r\n", NotNanoScope),
        (b"?*File list\r\n", NotNanoScope),
        (b"\\*Force file list\r\n", NotAnImage),
    ],
)
def test_other_files_promise_nothing_and_are_named(data: bytes, kind: type[ScanError]) -> None:
    assert promised_bytes(data) == 0
    with pytest.raises(ScanError) as caught:
        decode(data, name="a")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("Data offset", "0", "overlap"),
        ("Data offset", "12000", "overlap"),
        ("Data offset", "-40960", "not a whole number"),
        ("Data offset", "99999999999999999999", "not a whole number"),
        ("Samps/line", "0", "make no image"),
        ("Samps/line", "4294967296", "not 4294967296"),
        ("Number of lines", "1", "make no image"),
        ("Number of lines", "9e9", "not a whole number"),
        ("Bytes/pixel", "8", "neither 2 nor 4"),
        ("Bytes/pixel", "-2", "not a whole number"),
        ("Valid data len Y", "-1", "not a whole number"),
        ("Data length", "131071", "are not 256"),
        ("@2:Z scale", "V [Sens. Zscan] (0.1 V/LSB) nan V", "not a scaled value"),
        ("@2:Z scale", "V [Sens. Zscan] (0.1 V/LSB) 1e999 V", "out of all bounds"),
        ("@2:Z scale", "C [x] 1", "not a scaled value"),
    ],
)
def test_a_header_that_contradicts_itself_is_malformed(key: str, value: str, why: str, one_channel: bytes) -> None:
    channel = header_of(one_channel).split("\\*Ciao image list")[1]
    line = next(line for line in channel.splitlines(keepends=True) if line.startswith(f"\\{key}: "))

    with pytest.raises(MalformedHeader, match=why):
        decode(edited(one_channel, (line, f"\\{key}: {value}\r\n")), name="a")


def test_a_capture_stopped_before_its_second_line_holds_no_data(one_channel: bytes) -> None:
    with pytest.raises(NoScanData, match="1 of 256 lines"):
        decode(edited(one_channel, ("\\Valid data len Y: 256", "\\Valid data len Y: 1")), name="a")


@pytest.mark.parametrize("key", ["Data offset", "Samps/line", "Number of lines", "Bytes/pixel"])
def test_a_header_that_lacks_what_it_must_say_is_malformed(key: str, one_channel: bytes) -> None:
    with pytest.raises(MalformedHeader, match=key.casefold()):
        decode(one_channel.replace(f"\\{key}".encode(), b"\\Lost"), name="a")


def test_overlapping_channels_are_malformed(trace_and_retrace: bytes) -> None:
    with pytest.raises(MalformedHeader, match="overlap"):
        decode(edited(trace_and_retrace, ("Data offset: 565248", "Data offset: 565246")), name="a")


def test_a_header_of_a_data_size_that_no_file_has_allocates_nothing(one_channel: bytes) -> None:
    changes = ("Samps/line: 256", "Samps/line: 1000000"), ("Number of lines: 256", "Number of lines: 1000000")
    huge = edited(one_channel, *changes, ("Data length: 131072", "Data length: 2000000000000"))
    huge = edited(huge, ("Valid data len Y: 256", "Valid data len Y: 1000000"))

    assert promised_bytes(huge) == 40960 + 2 * 10**12
    with pytest.raises(UnfinishedScan):
        decode(huge, name="a")


def test_a_file_too_large_is_refused_before_it_is_read(scans_dir: Path) -> None:
    with pytest.raises(LimitReached, match="172032"):
        read_scan(scans_dir / "images" / "old_bruker.002", max_bytes=100_000)


def test_a_missing_file_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_scan(tmp_path / "gone.000")
