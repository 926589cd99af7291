"""The fake of the port ``Renderer``: bytes that say what was asked."""

from afmd.domain.ports import StoredArray
from afmd.errors import InvalidInput

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class FakeRenderer:
    def __init__(self, *, padding: int = 0) -> None:
        self._padding = padding

    def image(self, array: StoredArray, *, longest_px: int, colour_map: str, title: str) -> bytes:
        if colour_map == "no-such-map":
            raise InvalidInput("colour_map", why="there is none of that name", mend="Use afmhot", field="colour_map")
        return SIGNATURE + f"{array.values.shape} {longest_px} {colour_map} {title}".encode() + bytes(self._padding)
