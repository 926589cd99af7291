"""Twenty thousand mutated headers: a scan or a ScanError, nothing else, no memory beyond what the file justifies."""

import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from real_scans import DATA_AT, header_of, shrunk

from afmd.errors import ScanError
from afmd.files.nanoscope import decode, promised_bytes

MUTANTS = 20_000
HEADERS = (
    "images/old_bruker.002", "images/di-2.di", "images/kpg20080408.007", "images/di-1.di", "images/di-3.di",
    "images/di-5.di", "damaged/bruker_data_header.001", "damaged/bruker_data_header.002",
    "damaged/bruker_data_header.003",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "1", "2", "3", "255", "65536", "2147483647", "4294967296", "-9223372036854775808",
    "99999999999999999999", "1e999", "-1e-999", "nan", "inf", "0x10", "1.5", "", " ", "٣", "16 16", "V", "1e400000",
    "9" * 5000,
)  # fmt: skip
TELLING = re.compile(
    r"\\(?:Data offset|Data length|Samps/line|Number of lines|Bytes/pixel|Valid data \w+ \w|Scan [Ss]ize"
    r"|Aspect [Rr]atio|Version|@\d?:?Z scale|@2:Image Data|@Sens\. Z\w+): (.*)"
)
ANY_NUMBER = re.compile(r"-?\d+\.?\d*")


def some_bytes(dice: random.Random, head: str) -> str:
    letters = list(head)
    for _ in range(dice.randint(1, 12)):
        letters[dice.randrange(len(letters))] = chr(dice.randrange(256))
    return "".join(letters)


def a_telling_value(dice: random.Random, head: str) -> str:
    for _ in range(dice.randint(1, 3)):
        found = dice.choice(list(TELLING.finditer(head)))
        head = head[: found.start(1)] + dice.choice(NUMBERS) + head[found.end(1) :]
    return head


def a_number_in_a_telling_value(dice: random.Random, head: str) -> str:
    found = dice.choice(list(TELLING.finditer(head)))
    numbers = list(ANY_NUMBER.finditer(head, found.start(1), found.end(1))) or [found]
    number = dice.choice(numbers)
    return head[: number.start()] + dice.choice(NUMBERS) + head[number.end() :]


def any_number(dice: random.Random, head: str) -> str:
    number = ANY_NUMBER.search(head, dice.randrange(len(head)))
    return head[: number.start()] + dice.choice(NUMBERS) + head[number.end() :] if number else head


def some_lines(dice: random.Random, head: str) -> str:
    lines = head.split("\r\n")
    at, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del lines[at : at + dice.randint(1, 40)]
        case 1:
            lines.insert(at, lines[other])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
    return "\r\n".join(lines)


MUTATIONS: tuple[Callable[[random.Random, str], str], ...] = (
    some_bytes, a_telling_value, a_telling_value, a_number_in_a_telling_value, any_number, some_lines,
)  # fmt: skip


def mutants(scans_dir: Path, count: int) -> Iterator[bytes]:
    dice = random.Random(20_000)
    wholes = [shrunk((scans_dir / name).read_bytes()) for name in HEADERS]
    heads = [header_of(whole) for whole in wholes]
    for i in range(count):
        whole, head = wholes[i % len(wholes)], heads[i % len(wholes)]
        for _ in range(dice.choice((1, 1, 1, 2))):
            head = dice.choice(MUTATIONS)(dice, head) or head
        yield _joined(head, whole, cut=dice.random() < 0.05, dice=dice)


def _joined(head: str, whole: bytes, *, cut: bool, dice: random.Random) -> bytes:
    start = DATA_AT
    data = (head.encode("latin-1", "replace") + b"\\*File list end\r\n\x1a").ljust(start, b"\0") + whole[start:]
    return data[: dice.randrange(len(data))] if cut else data


def test_every_mutant_reads_or_is_refused_with_a_reason(scans_dir: Path) -> None:
    read = refused = 0
    for i, data in enumerate(mutants(scans_dir, MUTANTS)):
        if i % 4 == 0:
            promised = promised_bytes(data)
            assert promised is None or promised >= 0
        try:
            scan = decode(data, name="mutant")
        except ScanError:
            refused += 1
        else:
            assert np.isfinite(scan.heights).all()
            assert min(scan.pixel_nm) > 0
            assert sum(c.values.size for c in scan.channels) * 2 <= len(data)
            read += 1

    assert min(read, refused) > MUTANTS / 10, "mutations that are all harmless, or all fatal, test little"


def test_no_mutant_takes_more_memory_than_its_size_justifies(scans_dir: Path) -> None:
    for data in mutants(scans_dir, 300):
        tracemalloc.start()
        try:
            decode(data, name="mutant")
        except ScanError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 8 * len(data) + 2**20
