"""Where each channel's integers lie. Rule: nothing is read or allocated before its block is known to be there."""

import re
from dataclasses import dataclass

from afmd.errors import AfmdError, MalformedHeader, MangledScan, NoScanData, NotAnImage, UnfinishedScan
from afmd.files.nanoscope.header import Header, Section, may_become_header, parse

WIDTHS = (2, 4)
FOUR_BYTES_SINCE = 0x09200000
"""From NanoScope 9.2 every channel is stored in 4 bytes, whatever ``Bytes/pixel`` says."""

MAX_LINES = 1 << 20
"""No frame has more lines, whatever a scan list says."""

_ONE_NUMBER = re.compile(r"\d+\.?\d*")
_FORCE_CONTEXTS = ("FOL", "FVOL")
_FORCE_SECTIONS = ("ciao force image list", "ciao force list")


@dataclass(frozen=True, slots=True)
class Block:
    """One channel's data.

    ``rows`` × ``cols`` integers of ``width`` bytes lie at ``offset``; of these rows, ``valid`` were really captured.
    ``rows_expected`` is the whole frame; ``bytes_per_pixel`` the width that the scale is stated for.
    """

    section: Section
    offset: int
    rows: int
    cols: int
    width: int
    valid: slice
    rows_expected: int
    bytes_per_pixel: int

    @property
    def length(self) -> int:
        """Bytes in the block."""
        return self.rows * self.cols * self.width

    @property
    def end(self) -> int:
        """The byte after the block."""
        return self.offset + self.length


def blocks_of(header: Header) -> tuple[Block, ...]:
    """Return every channel's block, in the header's order.

    Raises ``NotAnImage``, ``NoScanData`` (stopped before two lines) and ``MalformedHeader`` (no channel; sizes that
    contradict each other; overlapping blocks).
    """
    _refuse_force(header)
    sections = [s for s in header.images() if s.get("data length") != "0"]
    if not sections:
        raise MalformedHeader(
            header.name,
            why="it lists no image (NanoScope 5 or later is needed)",
            mend="Save the scan again from the NanoScope software",
        )
    blocks = tuple(_block(s, header) for s in sections)
    free = header.end
    for block in sorted(blocks, key=lambda b: b.offset):
        if block.offset < free:
            block.section.fault(f"its data at byte {block.offset} overlap what ends at byte {free}")
        free = block.end
    return blocks


def check_whole(data: bytes, header: Header, blocks: tuple[Block, ...]) -> None:
    """Raise ``NoScanData``, ``UnfinishedScan`` or ``MangledScan`` unless every block lies in ``data`` unharmed."""
    start, last = min(b.offset for b in blocks), max(blocks, key=lambda b: b.end)
    if len(data) <= start:
        raise NoScanData(
            header.name, why=f"the file ends at byte {len(data)}, before its first data at byte {start}",
            mend="Copy the whole file, not its header",
        )  # fmt: skip
    if len(data) < last.end and not header.crlf:
        raise _mangled(header.name, "CRLF was turned into LF: its header has no CR and bytes are missing")
    if len(data) < last.end:
        raise UnfinishedScan(
            header.name, why=f"its data end at byte {len(data)} of the {last.end} that the header promises",
            mend="Wait until the capture is done; if it is, the file was truncated: copy it again",
        )  # fmt: skip
    if _lf_became_crlf(data, header.end, surplus=len(data) - last.end):
        raise _mangled(header.name, f"LF was turned into CRLF: it has {len(data) - last.end} bytes too many")


def promised_bytes(head: bytes) -> int | None:
    """Return how large the file must be for every channel's data to be there, from its first bytes.

    None where the header itself is not whole yet. 0 where nothing is promised, because these are not the first bytes
    of a scan that can be read: such a file is as whole as it gets, and ``decode`` says what it is.
    """
    if not may_become_header(head):
        return 0
    try:
        return max(b.end for b in blocks_of(parse(head, name="")))
    except UnfinishedScan:
        return None
    except AfmdError:
        return 0


def _refuse_force(header: Header) -> None:
    context = header.sections[0].get("start context")
    titles = {s.title for s in header.sections}
    if context in _FORCE_CONTEXTS or titles.intersection(_FORCE_SECTIONS):
        raise NotAnImage(header.name, why="it holds force curves", mend="Capture an image instead")


def _block(section: Section, header: Header) -> Block:
    cols, lines = section.whole("samps/line"), section.whole("number of lines")
    offset, length = section.whole("data offset"), section.whole("data length")
    bytes_per_pixel = section.whole("bytes/pixel")
    if cols < 2 or lines < 2:
        section.fault(f"{cols} columns and {lines} lines make no image")
    if bytes_per_pixel not in WIDTHS:
        section.fault(f"'Bytes/pixel: {bytes_per_pixel}' is neither 2 nor 4")
    valid = lines if section.find("valid data len y") is None else min(section.whole("valid data len y"), lines)
    rows, width = _shape(section, length, cols=cols, valid=valid, lines=lines, wide=header.version >= FOUR_BYTES_SINCE)
    expected = _expected_lines(section, header, cols=cols, lines=lines)
    start = 0
    if rows > valid:
        start = min(section.whole("valid data start y"), rows - valid)
    if valid < 2:
        raise NoScanData(section.where, why=f"{valid} of {lines} lines were captured", mend="Capture the scan again")
    return Block(section, offset, rows, cols, width, slice(start, start + valid), expected, bytes_per_pixel)


def _expected_lines(section: Section, header: Header, *, cols: int, lines: int) -> int:
    """Return the lines of the whole frame.

    NanoScope 9.7 shortens ``Number of lines`` itself where a capture is stopped early, leaves the scan size as it was,
    and gives the aspect ratio as one number; the scan list still knows the frame's lines.
    """
    scan = header.first("ciao scan list")
    shortened = _ONE_NUMBER.fullmatch(section.get("aspect ratio"))
    if not shortened or scan.get("samps/line") != str(cols) or not scan.get("lines").isdecimal():
        return lines
    return max(lines, min(scan.whole("lines"), MAX_LINES))


def _shape(section: Section, length: int, *, cols: int, valid: int, lines: int, wide: bool) -> tuple[int, int]:
    """Return (stored rows, stored width): the block holds the captured rows only, or room for all of them."""
    fits = [(rows, width) for width in WIDTHS for rows in {valid, lines} if rows * cols * width == length]
    if not fits:
        section.fault(f"{length} bytes are not {cols} × {valid} values of 2 or 4 bytes")
    return max(fits, key=lambda fit: (fit[1] == 4) == wide)


def _lf_became_crlf(data: bytes, start: int, *, surplus: int) -> bool:
    """True where every line feed after ``start`` has a carriage return before it, and these explain the surplus."""
    if surplus == 0:
        return False
    pairs = data.count(b"\r\n", start)
    return pairs >= surplus and pairs == data.count(b"\n", start)


def _mangled(name: str, why: str) -> MangledScan:
    return MangledScan(name, why=why, mend="Copy the file again in binary mode")
