"""Gwyddion's native format, as far as images and masks need it.

Rule: objects in, bytes out, and back. After "Gwyddion native file format" in Gwyddion's user guide: ``GWYP``, then one
object; an object is its name, its size and its items; an item is a key, a letter for its type, and its value.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from afmd.errors import InvalidInput

Value: TypeAlias = "bool | int | float | str | GwyObject | Doubles | NDArray[np.float64]"

MAGIC = b"GWYP"
MAX_DEPTH = 16

_WRITTEN = {bool: (b"b", "<?"), int: (b"i", "<i"), float: (b"d", "<d")}
_NUMBERS = {"b": "<?", "c": "<c", "i": "<i", "q": "<q", "d": "<d"}
_ARRAYS = {"C": "<i1", "I": "<i4", "Q": "<i8", "D": "<f8"}


@dataclass(frozen=True, slots=True, eq=False)
class Doubles:
    """An array of doubles that is made only when it is written: ``values`` times ``factor``."""

    values: NDArray[np.generic]
    factor: float = 1.0

    def made(self) -> NDArray[np.float64]:
        """Return the doubles as one row."""
        product: NDArray[np.float64] = np.multiply(self.values, self.factor, dtype=np.float64)
        return product.astype("<f8", copy=False).reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class GwyObject:
    """A named set of items, such as a ``GwyContainer``; item types that images do not need are left out on reading."""

    name: str
    items: Mapping[str, Value] = field(default_factory=dict)


def dump(top: GwyObject, file: BinaryIO) -> None:
    """Write a whole .gwy file, one array at a time."""
    file.write(MAGIC)
    for part in _object(top):
        file.write(part)


def loads(data: bytes) -> GwyObject:
    """Read a whole .gwy file. Raises ``InvalidInput`` where it is none or broken."""
    if not data.startswith(MAGIC):
        raise _broken("it does not begin with GWYP")
    try:
        return _Cursor(data, len(MAGIC), len(data)).object(MAX_DEPTH)
    except (struct.error, ValueError, UnicodeDecodeError) as e:
        raise _broken(str(e)) from e


def data_field(
    values: NDArray[np.generic], *, pixel_m: tuple[float, float], unit: str = "m", factor: float = 1.0
) -> GwyObject:
    """Return a ``GwyDataField`` of (rows, cols): ``values`` times ``factor`` in ``unit``; pitch (down, across) in m."""
    rows, cols = values.shape
    return GwyObject(
        "GwyDataField",
        {
            "xres": cols,
            "yres": rows,
            "xreal": cols * pixel_m[1],
            "yreal": rows * pixel_m[0],
            "si_unit_xy": GwyObject("GwySIUnit", {"unitstr": "m"}),
            "si_unit_z": GwyObject("GwySIUnit", {"unitstr": unit}),
            "data": Doubles(values, factor),
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


def _object(o: GwyObject) -> Iterator[bytes | memoryview]:
    yield _text(o.name) + struct.pack("<I", _body_bytes(o))
    for key, value in o.items.items():
        yield _text(key)
        yield from _value(value)


def _value(value: Value) -> Iterator[bytes | memoryview]:
    match value:
        case bool() | int() | float():
            letter, form = _WRITTEN[type(value)]
            yield letter + struct.pack(form, value)
        case str():
            yield b"s" + _text(value)
        case GwyObject():
            yield b"o"
            yield from _object(value)
        case _:
            doubles = value.made() if isinstance(value, Doubles) else np.ascontiguousarray(value, dtype="<f8")
            yield struct.pack("<cI", b"D", doubles.size)
            yield doubles.data.cast("B")


def _body_bytes(o: GwyObject) -> int:
    """Return the size of all items; nothing is made for it."""
    return sum(len(_text(key)) + 1 + _value_bytes(value) for key, value in o.items.items())


def _value_bytes(value: Value) -> int:
    match value:
        case bool() | int() | float():
            return struct.calcsize(_WRITTEN[type(value)][1])
        case str():
            return len(_text(value))
        case GwyObject():
            return len(_text(value.name)) + 4 + _body_bytes(value)
        case _:
            array = value.values if isinstance(value, Doubles) else value
            return 4 + 8 * array.size


def _text(text: str) -> bytes:
    return text.replace("\0", " ").encode() + b"\0"


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
