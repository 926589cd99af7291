"""From heights to a NanoScope file. Rule: what the integers cannot hold is an error, never a wrap-around.

``encode`` makes a whole file, header first; any prefix of it is what a capture in progress looks like.
``replace_heights`` changes nothing of an original but the one channel's data and a note in the header's padding.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from afmd.domain.scan import Channel, Frame, checked_pitch
from afmd.errors import HeightOverflow, InvalidInput
from afmd.files.nanoscope.header import parse
from afmd.files.nanoscope.layout import blocks_of, check_whole
from afmd.files.nanoscope.reader import height_index
from afmd.files.nanoscope.scale import Scale, channel_scale

HEADER_BYTES = 40960
"""Where NanoScope's own files begin their data; longer headers take the next multiple of 4096."""

EPOCH = datetime(2000, 1, 1)
"""The date where none is given; headers state local time without a zone."""

LARGEST = 1e30
"""No value beyond this is written."""

_VERSIONS = {2: "0x09010201", 4: "0x09400202"}
_HEADROOM = 1.02
_NM_PER_V = {
    "height sensor": ("ZsensSens", 133.35),
    "height": ("Zsens", 20.82646),
    "amplitude": ("AmplSens", 20.0),
}
_INTERNAL = {"height sensor": "ZSensor", "amplitude error": "AmplitudeError", "peak force error": "PeakForceError"}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def encode(
    channels: Sequence[Channel],
    *,
    pixel_nm: float | tuple[float, float],
    frame: Frame = Frame.DOWN,
    rows_expected: int | None = None,
    bytes_per_value: int = 2,
    version: str = "",
    note: str = "",
    date: datetime = EPOCH,
) -> bytes:
    """Return a NanoScope file of these channels.

    Each channel has its own (rows, cols), row 0 = top; the scale is chosen so that its largest value just fits.
    ``pixel_nm``: pitch (down, across). ``rows_expected``: lines of the whole frame where the capture was stopped
    early. ``bytes_per_value``: 2, or 4 as from NanoScope 9.2. ``version``: such as ``0x09010201``.
    Raises ``InvalidInput``.
    """
    if bytes_per_value not in _VERSIONS:
        raise _invalid("bytes_per_value", f"{bytes_per_value} is neither 2 nor 4")
    if not re.fullmatch(r"(0x[0-9A-Fa-f]{8,9})?", version):
        raise _invalid("version", f"{version!r} is not like 0x09010201")
    pitch = checked_pitch(pixel_nm)
    plans = [_planned(c, bytes_per_value) for c in channels]
    if not plans:
        raise _invalid("channels", "there is none")
    scan = _Frame(pitch, frame, rows_expected or 0, _one_line(note))
    version = version or _VERSIONS[bytes_per_value]
    header = _header(plans, scan, version=version, date=date, start=HEADER_BYTES)
    start = -(-max(len(header) + 512, HEADER_BYTES) // 4096) * 4096
    if start != HEADER_BYTES:
        header = _header(plans, scan, version=version, date=date, start=start)
    return header.ljust(start, b"\0") + b"".join(p.stored for p in plans)


def replace_heights(original: bytes, heights: NDArray[np.float32], *, note: str) -> bytes:
    """Return the original with its height channel's data replaced, in the original's width and scale.

    ``heights``: (rows, cols) in nm, row 0 = top, the shape that ``decode`` gives. Every other byte stays, but for
    ``note``, which goes into the header's unused padding where it fits. The header still describes the plane fit of
    the original; the note is where the levelling is told.
    Raises ``HeightOverflow`` where the scale cannot hold the heights, ``InvalidInput`` and ``ScanError``.
    """
    header = parse(original, name="the original")
    blocks = blocks_of(header)
    check_whole(original, header, blocks)
    scales = [channel_scale(b.section, header, bytes_per_pixel=b.bytes_per_pixel) for b in blocks]
    chosen = height_index(header, blocks, scales)
    block = blocks[chosen]
    if heights.shape != (block.valid.stop - block.valid.start, block.cols):
        raise _invalid("heights", f"shape {heights.shape} is not that of the original")
    stored = _integers(heights, scales[chosen], width=block.width)[::-1].tobytes()
    first = block.offset + block.valid.start * block.cols * block.width
    changed = bytearray(original)
    changed[first : first + len(stored)] = stored
    _annotate(changed, header.end, min(b.offset for b in blocks), note)
    return bytes(changed)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all channels share; ``rows_expected`` 0 means no more than there are."""

    pitch: tuple[float, float]
    direction: Frame
    rows_expected: int
    note: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """One channel ready to be written: its text and its bytes."""

    channel: Channel
    bytes_per_pixel: int
    soft: str
    sensitivity: str
    hard: str
    unit: str
    stored: bytes


def _planned(channel: Channel, width: int) -> _Plan:
    """Choose a channel's scale: with a sensitivity for lengths, without one for all else."""
    values = np.asarray(channel.values)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise _invalid("channels", f"{channel.name!r} is not an image of finite values, at least 2 × 2")
    is_length = channel.unit == "nm"
    bytes_per_pixel = width if is_length else 2
    largest = float(np.abs(values).max()) * _HEADROOM or 1.0
    if largest > LARGEST:
        raise _invalid("channels", f"{channel.name!r} has values beyond {LARGEST:g}")
    soft, value, per = _sensitivity(channel.name, is_length=is_length)
    hard = _decimal(2 * largest / value)
    scale = Scale(float(hard) / 2.0 ** (8 * bytes_per_pixel) * value, channel.unit)
    stored = _integers(values, scale, width=width)[::-1].tobytes()
    unit = "V" if is_length else {"°": "º"}.get(channel.unit, channel.unit.replace("µ", "~"))
    return _Plan(channel, bytes_per_pixel, soft, f"{_decimal(value)} {per}", hard, unit, stored)


def _sensitivity(name: str, *, is_length: bool) -> tuple[str, float, str]:
    """Return name, value and unit of a channel's sensitivity; no name serves two values."""
    plain = re.sub(r"[^A-Za-z0-9 ]+", "", name)
    if not is_length:
        return f"{plain} Value", 1.0, ""
    return (*_NM_PER_V.get(name.casefold(), (f"{plain} Length", 10.0)), "nm/V")


def _integers(values: NDArray[np.float32], scale: Scale, *, width: int) -> NDArray[np.int16] | NDArray[np.int32]:
    """Return the stored integers of values in the scale's unit. Raises ``HeightOverflow``."""
    limits = np.iinfo(np.int16 if width == 2 else np.int32)
    raw = np.divide(values, scale.factor, dtype=np.float64)
    np.rint(raw, out=raw)
    if not (raw.min() >= limits.min and raw.max() <= limits.max):
        raise HeightOverflow(
            f"heights of {values.min():.6g} to {values.max():.6g} {scale.unit}",
            why=f"the file's {width}-byte scale ends at ±{abs(scale.factor) * limits.max:.6g} {scale.unit}",
            mend="Use another output: the text, Gwyddion and array files hold any height",
        )
    return raw.astype(f"<i{width}")


def _annotate(data: bytearray, end: int, start: int, note: str) -> None:
    """Write the note behind the header's 0x1A, where only padding is; leave it out where it does not fit."""
    line = b"\\History: " + _one_line(note).encode("latin-1", "replace") + b"\r\n\x1a"
    at = end + 1
    if note and at + len(line) <= start and not any(data[at : at + len(line)]):
        data[at : at + len(line)] = line


def _header(plans: list[_Plan], frame: _Frame, *, version: str, date: datetime, start: int) -> bytes:
    lines = ["\\*File list", f"\\Version: {version}", f"\\Date: {_local(date)}", "\\Start context: OL2"]
    lines += [f"\\Data length: {start}", "\\Text: ", "\\History: ", "\\Navigator note: "]
    lines += [
        "\\*Equipment list",
        "\\Description: afmd",
        "\\*Scanner list",
        "\\Scanner type: simulated",
        "\\Piezo size: G",
    ]
    lines += [f"\\@Sens. {name}: V {value}" for name, value in {p.soft: p.sensitivity for p in plans}.items()]
    lines += _scan_list(plans[0], frame)
    offset = start
    for plan in plans:
        lines += _image_list(plan, frame, offset)
        offset += len(plan.stored)
    return "\r\n".join([*lines, "\\*File list end", "\x1a"]).encode("latin-1", "replace")


def _scan_list(first: _Plan, frame: _Frame) -> list[str]:
    rows, cols = first.channel.values.shape
    return [
        "\\*Ciao scan list",
        "\\Operating mode: Image",
        f"\\Scan Size: {cols * frame.pitch[1]:.9g} nm",
        f"\\Samps/line: {cols}",
        f"\\Lines: {max(rows, frame.rows_expected)}",
        f"\\Aspect Ratio: {_aspect(first, frame)}",
        f"\\Capture direction: {frame.direction.capitalize()}",
        '\\@InterleaveList: S [InterleaveOffMode] "Disabled"',
        '\\@MicroscopeList: S [TMMode] "Tapping"',
    ]


def _image_list(plan: _Plan, frame: _Frame, offset: int) -> list[str]:
    rows, cols = plan.channel.values.shape
    lines = max(rows, frame.rows_expected)
    name, per_lsb = _one_line(plan.channel.name), float(plan.hard) / 2.0 ** (8 * plan.bytes_per_pixel)
    scale = f"V [Sens. {plan.soft}] ({_decimal(per_lsb)} {plan.unit}/LSB)"
    return [
        "\\*Ciao image list",
        f"\\Data offset: {offset}",
        f"\\Data length: {len(plan.stored)}",
        f"\\Bytes/pixel: {plan.bytes_per_pixel}",
        "\\Start context: OL",
        "\\Data type: AFM",
        f"\\Note: {frame.note}",
        "\\Plane fit: 0 0 0 5",
        f"\\Frame direction: {frame.direction.capitalize()}",
        "\\Capture start line: 0",
        f"\\Samps/line: {cols}",
        f"\\Number of lines: {lines}",
        f"\\Aspect Ratio: {_aspect(plan, frame)}",
        f"\\Scan Size: {cols * frame.pitch[1]:.9g} {lines * frame.pitch[0]:.9g} nm",
        "\\Scan Line: Main",
        f"\\Line Direction: {plan.channel.direction.capitalize()}",
        "\\Realtime Planefit: None",
        "\\Offline Planefit: None",
        "\\Valid data start X: 0",
        "\\Valid data start Y: 0",
        f"\\Valid data len X: {cols}",
        f"\\Valid data len Y: {rows}",
        f'\\@2:Image Data: S [{_INTERNAL.get(name.casefold(), name)}] "{name}"',
        "\\@Z magnify: C [2:Z scale] 1.000000 ",
        f"\\@2:Z scale: {scale} {plan.hard} {plan.unit}",
        f"\\@2:Z offset: {scale}       0 {plan.unit}",
    ]


def _aspect(plan: _Plan, frame: _Frame) -> str:
    """Return width : height of the frame."""
    rows, cols = plan.channel.values.shape
    ratio = max(rows, frame.rows_expected) * frame.pitch[0] / (cols * frame.pitch[1])
    return "1:1" if math.isclose(ratio, 1, rel_tol=1e-6) else f"1:{ratio:.6g}"


def _local(date: datetime) -> str:
    """Return ``04:06:25 PM Thu Sep 26 2019`` whatever the machine's language."""
    day = f"{_DAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date.day:02d} {date.year:04d}"
    return f"{date.hour % 12 or 12:02d}:{date.minute:02d}:{date.second:02d} {'AM' if date.hour < 12 else 'PM'} {day}"


def _decimal(value: float) -> str:
    """Return seven digits without an exponent, as NanoScope writes them and as other readers expect."""
    return np.format_float_positional(value, precision=7, unique=False, fractional=False, trim="k")


def _one_line(text: str) -> str:
    """Return text that cannot open a section, close the header or end a quoted name."""
    return re.sub(r"[\x00-\x1f\"\[\]\\]+", " ", text).strip()


def _invalid(field: str, why: str) -> InvalidInput:
    return InvalidInput(field, why=why, mend="Correct the call", field=field)
