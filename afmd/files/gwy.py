"""Gwyddion's native format, as far as images and masks need it.

Rule: objects in, bytes out, and back. After "Gwyddion native file format" in Gwyddion's user guide: ``GWYP``, then one
object; an object is its name, its size and its items; an item is a key, a letter for its type, and its value.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from afmd.errors import InvalidInput

Value: TypeAlias = "bool | int | float | str | GwyObject | NDArray[np.float64]"

MAGIC = b"GWYP"
MAX_DEPTH = 16

_NUMBERS = {"b": "<?", "c": "<c", "i": "<i", "q": "<q", "d": "<d"}
_ARRAYS = {"C": "<i1", "I": "<i4", "Q": "<i8", "D": "<f8"}


@dataclass(frozen=True, slots=True, eq=False)
class GwyObject:
    """A named set of items, such as a ``GwyContainer``; item types that images do not need are left out on reading."""

    name: str
    items: Mapping[str, Value] = field(default_factory=dict)


def dumps(top: GwyObject) -> bytes:
    """Return a whole .gwy file."""
    return b"".join((MAGIC, *_object(top)))


def loads(data: bytes) -> GwyObject:
    """Read a whole .gwy file. Raises ``InvalidInput`` where it is none or broken."""
    if not data.startswith(MAGIC):
        raise _broken("it does not begin with GWYP")
    try:
        return _Cursor(data, len(MAGIC), len(data)).object(MAX_DEPTH)
    except (struct.error, ValueError, UnicodeDecodeError) as e:
        raise _broken(str(e)) from e


def data_field(
    values: NDArray[np.generic], *, pixel_m: tuple[float, float], unit: str = "m", unit_xy: str = "m"
) -> GwyObject:
    """Return a ``GwyDataField`` of (rows, cols) values in ``unit``; ``pixel_m`` is the pitch (down, across) in m."""
    rows, cols = values.shape
    return GwyObject(
        "GwyDataField",
        {
            "xres": cols,
            "yres": rows,
            "xreal": cols * pixel_m[1],
            "yreal": rows * pixel_m[0],
            "si_unit_xy": GwyObject("GwySIUnit", {"unitstr": unit_xy}),
            "si_unit_z": GwyObject("GwySIUnit", {"unitstr": unit}),
            "data": np.ascontiguousarray(values, dtype="<f8").reshape(-1),
        },
    )


def field_values(field_object: GwyObject) -> NDArray[np.float64]:
    """Return a data field's values as (rows, cols). Raises ``InvalidInput``."""
    data, rows, cols = (field_object.items.get(k) for k in ("data", "yres", "xres"))
    if not isinstance(data, np.ndarray) or not isinstance(rows, int) or not isinstance(cols, int):
        raise _broken(f"{field_object.name} holds no image")
    if rows * cols != data.size:
        raise _broken(f"{data.size} values are not {rows} rows of {cols}")
    return data.reshape(rows, cols)


def _object(o: GwyObject) -> Iterable[bytes]:
    body = [part for key, value in o.items.items() for part in _item(key, value)]
    return (o.name.encode() + b"\0", struct.pack("<I", sum(map(len, body))), *body)


def _item(key: str, value: Value) -> Iterable[bytes]:
    head = key.encode() + b"\0"
    match value:
        case bool():
            return (head, b"b", struct.pack("<?", value))
        case int():
            return (head, b"i", struct.pack("<i", value))
        case float():
            return (head, b"d", struct.pack("<d", value))
        case str():
            return (head, b"s", value.encode() + b"\0")
        case GwyObject():
            return (head, b"o", *_object(value))
        case _:
            return (head, b"D", struct.pack("<I", value.size), value.astype("<f8", copy=False).tobytes())


@dataclass(slots=True)
class _Cursor:
    """A place in the file and the byte before which everything must end."""

    data: bytes
    at: int
    end: int

    def object(self, depth: int) -> GwyObject:
        if depth == 0:
            raise ValueError("objects are nested too deeply")
        name, size = self.text(), self.number("<I")
        inner = _Cursor(self.data, self.at, self.at + self._sized(size))
        items: dict[str, Value] = {}
        while inner.at < inner.end:
            key, kind = inner.text(), chr(inner.take(1)[0])
            value = inner.value(kind, depth)
            if value is not None:
                items[key] = value
        self.at = inner.end
        return GwyObject(name, items)

    def value(self, kind: str, depth: int) -> "Value | None":
        if kind == "o":
            return self.object(depth - 1)
        if kind == "s":
            return self.text()
        if kind in _NUMBERS:
            number: bool | int | float | bytes = self.number(_NUMBERS[kind])
            return number.decode("latin-1") if isinstance(number, bytes) else number
        return self._many(kind, self.number("<I"), depth)

    def _many(self, kind: str, count: int, depth: int) -> "Value | None":
        """Read an array; only those of doubles are kept."""
        if kind in _ARRAYS:
            kept = np.frombuffer(self.take(count * np.dtype(_ARRAYS[kind]).itemsize), dtype=_ARRAYS[kind])
            return kept if kind == "D" else None
        if kind not in "SO":
            raise ValueError(f"there is no item type {kind!r}")
        for _ in range(count):
            _ = self.text() if kind == "S" else self.object(depth - 1)
        return None

    def number(self, form: str) -> int:
        found: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def text(self) -> str:
        stop = self.data.index(b"\0", self.at, self.end)
        text = self.data[self.at : stop].decode()
        self.at = stop + 1
        return text

    def take(self, count: int) -> bytes:
        start, self.at = self.at, self.at + self._sized(count)
        return self.data[start : self.at]

    def _sized(self, count: int) -> int:
        if count > self.end - self.at:
            raise ValueError(f"{count} bytes at byte {self.at} run past byte {self.end}")
        return count


def _broken(why: str) -> InvalidInput:
    return InvalidInput("the .gwy file", why=why, mend="Export it again")
