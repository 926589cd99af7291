"""Arrays and pictures as bytes: names from the wire, headers, chunks. Rule: no I/O.

Values travel row by row from the top, float32 little-endian or one byte for a bool.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from afmd.domain.ports import StoredArray
from afmd.domain.scan import Direction
from afmd.errors import InvalidInput
from afmd_client.v1 import array_pb2, scan_pb2

KINDS: Mapping[int, str] = MappingProxyType(
    {
        array_pb2.ARRAY_KIND_RAW: "raw",
        array_pb2.ARRAY_KIND_FLATTENED: "flattened",
        array_pb2.ARRAY_KIND_RESTORED: "restored",
        array_pb2.ARRAY_KIND_RAW_MASK: "raw_mask",
        array_pb2.ARRAY_KIND_FINAL_MASK: "mask",
        array_pb2.ARRAY_KIND_TOUCHED: "touched",
        array_pb2.ARRAY_KIND_UNCERTAINTY: "sigma",
        array_pb2.ARRAY_KIND_CHANNEL: "channel",
        array_pb2.ARRAY_KIND_SURFACE: "surface",
        array_pb2.ARRAY_KIND_SURFACE_UNCERTAINTY: "surface_sigma",
        array_pb2.ARRAY_KIND_CONTACT: "contact",
    }
)
"""The wire's kinds, and the words by which the results' port knows them."""

PASSES: Mapping[int, Direction] = MappingProxyType(
    {scan_pb2.DIRECTION_TRACE: Direction.TRACE, scan_pb2.DIRECTION_RETRACE: Direction.RETRACE}
)


@dataclass(frozen=True, slots=True)
class ArrayRequest:
    """Which array a client asks for, in the words of ``ResultReader.array``."""

    scan_id: str
    kind: str
    channel: str
    repair: int


def request_from_wire(name: array_pb2.ArrayName) -> ArrayRequest:
    """Return what was asked for. Raises ``InvalidInput`` with the field's name."""
    checked_id(name.scan_id, field="array.scan_id")
    if name.kind not in KINDS:
        raise InvalidInput(
            "array.kind", why=f"{name.kind} is none of those that this daemon knows",
            mend=f"Use {', '.join(KINDS.values())}", field="array.kind",
        )  # fmt: skip
    if name.repair < 0:
        raise InvalidInput(
            "array.repair", why=f"there is no repair {name.repair}", mend="Give 0 for the one in force, or 1, 2, …",
            field="array.repair",
        )  # fmt: skip
    return ArrayRequest(scan_id=name.scan_id, kind=KINDS[name.kind], channel=_channel(name), repair=name.repair)


def checked_id(scan_id: str, *, field: str) -> str:
    """Return an identity that is not empty, or raise ``InvalidInput``."""
    if not scan_id:
        raise InvalidInput(field, why="it is empty", mend="Give a scan_id as ListScans tells it", field=field)
    return scan_id


def array_to_wire(stored: StoredArray, *, repair: int) -> tuple[array_pb2.ArrayHeader, memoryview]:
    """Return the header and the bytes that follow it."""
    is_mask = stored.values.dtype == np.bool_
    values = np.ascontiguousarray(stored.values, dtype=np.bool_ if is_mask else "<f4")
    content = values.reshape(-1).view(np.uint8).data
    header = array_pb2.ArrayHeader(
        rows=values.shape[0],
        cols=values.shape[1],
        data_type=array_pb2.DATA_TYPE_BOOL if is_mask else array_pb2.DATA_TYPE_FLOAT32,
        unit=stored.unit,
        pixel_nm=scan_pb2.PixelPitch(down=stored.pixel_nm[0], across=stored.pixel_nm[1]),
        size_bytes=content.nbytes,
        sha256=hashlib.sha256(content).hexdigest(),
        repair=repair,
    )
    return header, content


def image_to_wire(png: bytes, *, repair: int) -> tuple[array_pb2.ImageHeader, memoryview]:
    """Return the header and the bytes that follow it."""
    header = array_pb2.ImageHeader(
        media_type="image/png", size_bytes=len(png), sha256=hashlib.sha256(png).hexdigest(), repair=repair
    )
    return header, memoryview(png)


def chunks(content: memoryview, *, size: int) -> Iterator[bytes]:
    """Return the content in order, ``size`` bytes at a time; copied one chunk at a time."""
    for start in range(0, content.nbytes, size):
        yield bytes(content[start : start + size])


def _channel(name: array_pb2.ArrayName) -> str:
    """Return ``NAME/trace`` or ``NAME/retrace``; empty for the kinds that are no channel."""
    if (name.kind == array_pb2.ARRAY_KIND_CHANNEL) != name.HasField("channel"):
        raise InvalidInput(
            "array.channel", why="a signal is named by kind CHANNEL and by no other kind",
            mend="Give both a channel and kind CHANNEL, or neither", field="array.channel",
        )  # fmt: skip
    if not name.HasField("channel"):
        return ""
    if not name.channel.name or name.channel.direction not in PASSES:
        raise InvalidInput(
            "array.channel", why="it lacks a name or a direction",
            mend="Give both as Scan.channels tells them", field="array.channel",
        )  # fmt: skip
    return f"{name.channel.name}/{PASSES[name.channel.direction]}"
