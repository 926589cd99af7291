"""Real scans of real microscopes, dropped into the folder of a running daemon, seen through the wire."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from lab import Lab

import afmd
from afmd_client.nouns import Scan, State

REFUSED = {
    "bruker_data_header.000": "NO_SCAN_DATA",
    "bruker_data_header.001": "NO_SCAN_DATA",
    "bruker_data_header.002": "NO_SCAN_DATA",
    "bruker_data_header.003": "NO_SCAN_DATA",
    "di_corrupted.di": "UNFINISHED_SCAN",
    "example1.di": "MANGLED_SCAN",
    "full_multiple_images__b216a43.txt": "MANGLED_SCAN",
    "20200903_Egel2.0_00023.spm": "NOT_AN_IMAGE",
    "20200904_Egel4-Z1.0_00025.spm": "NOT_AN_IMAGE",
    "force_bruker.001": "NOT_AN_IMAGE",
}


class Session(NamedTuple):
    """A daemon that was given every real file at once, and what it made of them."""

    lab: Lab
    sources: dict[str, Path]
    scans: dict[str, Scan]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, scans_dir: Path) -> Iterator[Session]:
    sources = {p.name: p for folder in ("images", "damaged", "not_images") for p in (scans_dir / folder).iterdir()}
    with Lab(tmp_path_factory.mktemp("real") / "lab") as lab:
        for name, source in sources.items():
            lab.drop(name, source)
        lab.until_at_rest(*sources)
        with lab.client() as client:
            yield Session(lab, sources, {scan.name: scan for scan in client.scans()})


@pytest.fixture(scope="module")
def images(scans_dir: Path) -> list[str]:
    return sorted(path.name for path in (scans_dir / "images").iterdir())


def test_every_real_image_comes_to_its_results(session: Session, images: list[str]) -> None:
    assert {name: session.scans[name].state for name in images} == dict.fromkeys(images, State.COMPLETE)
    for name in images:
        states = session.lab.ear.states(name)
        assert states[:3] == [State.SEEN, State.SETTLED, State.READ]
        assert states[3] in {State.RESTORED, State.REPORTED}
        assert states[4:] == [State.COMPLETE]


def test_every_other_file_is_refused_with_its_true_reason(session: Session) -> None:
    told = {name: session.scans[name].problem for name in REFUSED}

    assert {name: problem.reason for name, problem in told.items() if problem} == REFUSED
    assert all(problem and problem.what and problem.why and problem.mend for problem in told.values())


def test_heights_come_over_the_wire_as_the_reader_reads_them(session: Session, images: list[str]) -> None:
    with session.lab.client() as client:
        for name in images:
            scan = afmd.read(session.sources[name])
            raw = client.array(session.scans[name].scan_id, "raw")
            assert raw.pixel_nm == scan.pixel_nm
            np.testing.assert_array_equal(raw, scan.heights)


def test_outside_what_was_touched_no_bit_changes(session: Session, images: list[str]) -> None:
    with session.lab.client() as client:
        for name in images:
            scan_id = session.scans[name].scan_id
            restored, flattened, touched = (client.array(scan_id, k) for k in ("restored", "flattened", "touched"))
            np.testing.assert_array_equal(np.asarray(restored)[~touched], np.asarray(flattened)[~touched])


def test_every_channel_can_be_fetched(session: Session) -> None:
    scan = session.scans["di-1.di"]
    with session.lab.client() as client:
        for channel in scan.channels:
            own = next(
                c for c in afmd.read(session.sources["di-1.di"]).channels if str(channel) == f"{c.name}/{c.direction}"
            )
            fetched = client.array(scan.scan_id, "channel", channel=channel)
            assert fetched.unit == own.unit
            np.testing.assert_array_equal(fetched, own.values)


def test_outputs_are_whole_and_the_record_knows_their_hashes(session: Session, images: list[str]) -> None:
    for name in images:
        (record,) = session.lab.restored.glob(f"{name}~*/r1/record.json")
        told = json.loads(record.read_text(encoding="utf-8"))
        assert told["source"]["sha256"] == hashlib.sha256(session.sources[name].read_bytes()).hexdigest()
        assert session.scans[name].repair is not None
        assert set(session.scans[name].repair.outputs) == {path.name for path in record.parent.iterdir()}
    assert not list(session.lab.restored.rglob("*~tmp*"))


def test_originals_keep_their_bytes_and_their_times(session: Session) -> None:
    for name, source in session.sources.items():
        dropped = session.lab.capture / name
        assert dropped.read_bytes() == source.read_bytes()
        assert dropped.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert {p.name for p in session.lab.capture.iterdir()} == set(session.sources)


def test_the_same_scan_under_another_name_is_repaired_once_and_says_so(session: Session) -> None:
    session.lab.drop("copy.di", session.sources["di-3.di"])
    session.lab.until_at_rest("copy.di")

    event = session.lab.ear.of("copy.di")[-1]
    assert event.state is State.DUPLICATE
    assert event.original is not None
    assert event.original.scan_id == session.scans["di-3.di"].scan_id
    assert len(list(session.lab.restored.glob("*/r*"))) == len(session.sources) - len(REFUSED)


def test_a_scan_that_is_renamed_is_not_repaired_again(session: Session) -> None:
    before = len(list(session.lab.restored.glob("*/r*")))
    (session.lab.capture / "kpg20080408.007").rename(session.lab.capture / "renamed.007")
    session.lab.until_at_rest("renamed.007")
    (session.lab.capture / "renamed.007").rename(session.lab.capture / "kpg20080408.007")

    event = session.lab.ear.of("renamed.007")[-1]
    assert event.state is State.DUPLICATE
    assert event.original is not None
    assert event.original.name == "kpg20080408.007"
    assert len(list(session.lab.restored.glob("*/r*"))) == before


def test_a_picture_is_drawn_on_request(session: Session) -> None:
    with session.lab.client() as client:
        picture = client.image(session.scans["5.011"].scan_id, "restored", longest_px=256)

    assert picture.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_client_that_comes_late_hears_the_same_story(session: Session) -> None:
    with session.lab.client() as client, client.watch() as watch:
        count = len(session.lab.ear.events)
        replayed = [next(watch) for _ in range(count)]

    assert replayed == session.lab.ear.events[:count]
    assert [event.revision for event in replayed] == list(range(1, count + 1))


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(session: Session) -> None:
    scan_id = session.scans["09261606.001"].scan_id
    with session.lab.client() as observer:
        before = observer.status().streams
        for _ in range(5):
            client = session.lab.client()
            next(client.watch())
            stream = client._endpoint.open(client._scans.ReadArray, _array_request(scan_id))
            next(iter(stream))
            client.close()
        session.lab.drop("after_the_storm.di", session.sources["di-3.di"].read_bytes() + b"\0")
        session.lab.until_at_rest("after_the_storm.di")
        session.lab.ear.until(lambda: observer.status().streams <= before, what="the streams to be gone")


def _array_request(scan_id: str):
    from afmd_client import wire
    from afmd_client.v1 import scan_service_pb2

    return scan_service_pb2.ReadArrayRequest(array=wire.array_name(scan_id, "raw", channel="", repair=0))
