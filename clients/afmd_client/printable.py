"""What may be shown on a terminal. Rule: a file's name is data, and data never steer the terminal that shows them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

STAND_IN = "\N{REPLACEMENT CHARACTER}"

T = TypeVar("T")


def printable(value: T) -> T:
    """Return the value with a stand-in for every control character in its texts, however deep they lie."""
    found: Any = value
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        found = "".join(character if character.isprintable() else STAND_IN for character in value)
    elif isinstance(value, tuple):
        found = tuple(printable(part) for part in value)
    elif isinstance(value, Mapping):
        found = {printable(key): printable(part) for key, part in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{f.name: printable(getattr(value, f.name)) for f in fields(value)})
    return cast("T", found)
