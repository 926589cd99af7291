"""Prometheus metrics on a loopback port: what a monitor needs to know that scans still come out at the other end.

Rule: counters count what happened in this process; gauges are asked for when someone scrapes, and so are never stale.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from afmd.domain.events import State
from afmd.domain.ports import StatusSource
from afmd.errors import AlreadyRunning

LOOPBACK = "127.0.0.1"
STAGE_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The numbers of one daemon, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a time of birth for every series doubles the scrape and tells nobody anything
        self.registry = CollectorRegistry()
        self._scans = Counter(
            "afmd_scans", "Scans that reached a state", ["state", "label"], registry=self.registry
        )  # fmt: skip
        self._stages = Histogram(
            "afmd_stage_seconds", "Time of each stage of a scan's restoration", ["stage"],
            buckets=STAGE_BOUNDS_S, registry=self.registry,
        )  # fmt: skip
        ProcessCollector(registry=self.registry)

    def count(self, state: State, *, label: str = "") -> None:
        """Count one scan that has just reached ``state``."""
        self._scans.labels(state=state.value, label=label).inc()

    def time_stages(self, timings_ms: Mapping[str, float]) -> None:
        """Take in the milliseconds of each stage of one scan."""
        for stage, spent_ms in timings_ms.items():
            self._stages.labels(stage=stage).observe(spent_ms / 1000)

    def ask(self, source: StatusSource, *, last_progress: Callable[[], float]) -> None:
        """Have every scrape ask ``source`` for the gauges; ``last_progress`` returns a UNIX time in seconds."""
        self.registry.register(_Gauges(source, last_progress))


class MetricsServer:
    """Answers ``GET /metrics`` on loopback from a thread of its own."""

    def __init__(self, metrics: Metrics, *, port: int) -> None:
        """Bind the port. Raises ``AlreadyRunning`` where it is taken."""
        try:
            self._server = make_server(
                LOOPBACK, port, make_wsgi_app(metrics.registry), server_class=_Server, handler_class=_Silent
            )
        except OSError as e:
            raise AlreadyRunning(
                f"metrics port {port}", why=e.strerror or str(e),
                mend="Stop whatever holds it, or set metrics.port to another one or to 0",
            ) from e  # fmt: skip
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Gauges(Collector):
    def __init__(self, source: StatusSource, last_progress: Callable[[], float]) -> None:
        self._source = source
        self._last_progress = last_progress

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing in advance: registering must not ask a daemon that is still being put together."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask for the present status and give it as gauges."""
        status = self._source.status()
        for name, meaning, value in (
            ("afmd_queue_scans", "Scans waiting for a worker", status.queue),
            ("afmd_queue_limit_scans", "Scans that may wait", status.queue_limit),
            ("afmd_workers", "Workers", status.workers),
            ("afmd_workers_busy", "Workers with a scan in hand", status.workers_busy),
            ("afmd_ledger_revision", "Newest committed revision", status.revision),
            ("afmd_disk_free_bytes", "Free space under the output root", status.disk_free_bytes),
            ("afmd_capture_reachable", "1 where the capture folder can be listed", status.capture_reachable),
            ("afmd_draining", "1 while the daemon is going down", status.draining),
            ("afmd_started_timestamp_seconds", "When the daemon started", status.started.timestamp()),
            ("afmd_last_progress_timestamp_seconds", "When the pipeline last moved", self._last_progress()),
        ):
            yield GaugeMetricFamily(name, meaning, value=float(value))
        standing = GaugeMetricFamily("afmd_ledger_scans", "Scans in the ledger by state", labels=["state"])
        for state in State:
            standing.add_metric([state.value], float(status.counts.get(state, 0)))
        yield standing
        build = GaugeMetricFamily("afmd_build_info", "Always 1", labels=["version", "classifier", "segmenter"])
        build.add_metric([status.version, str(status.classifier), str(status.segmenter)], 1.0)
        yield build


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # Windows would otherwise bind a port that another daemon holds, and say nothing.
    allow_reuse_address = os.name != "nt"


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: a scrape every few seconds is not news."""
