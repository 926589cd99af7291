"""Metrics: counted once, asked for when scraped, on loopback only."""

import socket
import urllib.request

import pytest
from fake_status import FakeStatusSource
from prometheus_client.parser import text_string_to_metric_families

from afmd.domain.events import State
from afmd.errors import AlreadyRunning
from afmd.telemetry.metrics import Metrics, MetricsServer


def scraped(port: int) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {
        (s.name, ",".join(v for _, v in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def test_a_scrape_gives_counters_stages_and_present_gauges() -> None:
    metrics, source = Metrics(), FakeStatusSource()
    metrics.ask(source, last_progress=lambda: 1234.5)
    server = MetricsServer(metrics, port=0)
    server.start()
    try:
        metrics.count(State.RESTORED, label="good")
        metrics.count(State.RESTORED, label="good")
        metrics.time_stages({"fill": 30.0})
        source.revision = 77
        values = scraped(server.port)
    finally:
        server.stop()

    assert values[("afmd_scans_total", "good,restored")] == 2
    assert values[("afmd_stage_seconds_sum", "fill")] == pytest.approx(0.03)
    assert values[("afmd_ledger_revision", "")] == 77
    assert values[("afmd_ledger_scans", "complete")] == 5
    assert values[("afmd_ledger_scans", "failed")] == 0
    assert values[("afmd_last_progress_timestamp_seconds", "")] == 1234.5


def test_a_taken_port_is_refused_with_what_mends_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held, pytest.raises(AlreadyRunning, match=r"metrics\.port"):
        MetricsServer(Metrics(), port=held.getsockname()[1])


def test_the_port_is_free_again_after_stopping() -> None:
    first = MetricsServer(Metrics(), port=0)
    first.start()
    first.stop()

    second = MetricsServer(Metrics(), port=first.port)
    second.stop()

    assert second.port == first.port


def test_the_server_listens_on_loopback_only() -> None:
    server = MetricsServer(Metrics(), port=0)
    try:
        assert server._server.socket.getsockname()[0] == "127.0.0.1"
    finally:
        server.stop()
