"""Whether a write-ahead log that a stop left behind lost anything that was committed.

Rule: SQLite reads a log up to the first frame that does not add up, and forgets the rest without a word. After a crash
that is right: the rest was never acknowledged. After damage to the disk it is not: so the log is read here first.

Layout and checksum: "WAL-mode File Format", https://www.sqlite.org/walformat.html.
"""

import struct
from pathlib import Path

HEADER = struct.Struct(">8I")
FRAME = struct.Struct(">6I")
MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""How the two kinds of log order the bytes of the words that they sum up."""


def lost_commits(log: Path) -> int:
    """Return how many commits stand behind a frame that does not add up; 0 for a sound log or a merely torn one.

    Every commit is flushed to disk before the next begins, so a crash can tear the last one only: that one is not
    counted. A log whose header is damaged counts as one. Raises ``OSError``.
    """
    data = log.read_bytes()
    if len(data) < HEADER.size or not any(data[: HEADER.size]):
        return 0
    magic, _, page_bytes, _, *salts, first, second = HEADER.unpack_from(data)
    order = MAGIC.get(magic, "<")
    running = _summed(data[: HEADER.size - 8], (0, 0), order)
    if magic not in MAGIC or running != (first, second):
        return 1
    behind, sound = 0, True
    for start in range(HEADER.size, len(data) - FRAME.size - page_bytes + 1, FRAME.size + page_bytes):
        _, committed, *frame_salts, first, second = FRAME.unpack_from(data, start)
        if frame_salts != salts:
            sound = False
            continue
        if sound:
            body = data[start : start + 8] + data[start + FRAME.size : start + FRAME.size + page_bytes]
            running = _summed(body, running, order)
            sound = running == (first, second)
        behind += bool(committed) and not sound
    return max(behind - 1, 0)


def _summed(data: bytes, running: tuple[int, int], order: str) -> tuple[int, int]:
    """Return the running checksum after ``data``, a whole number of 8-byte pairs."""
    first, second = running
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
