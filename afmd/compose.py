"""The only file that names every concrete class. Rule: here parts are made and joined, and nothing else happens."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from afmd import __version__, settings
from afmd.domain.params import Params
from afmd.domain.ports import Bus, Classifier, Clock, Ledger, Results, Segmenter, TipNetwork
from afmd.domain.tip_method import TipMethod
from afmd.errors import ModelError
from afmd.pipeline.joined import JoinedClassifier, JoinedSegmenter

if TYPE_CHECKING:
    from afmd.files.hints import FolderHints
    from afmd.pipeline.deconvolution import TipPlan
    from afmd.rpc.server import RpcServer
    from afmd.runtime.daemon import Daemon, Parts
    from afmd.runtime.intake import Intake
    from afmd.runtime.repairer import Craft
    from afmd.runtime.status import StatusBoard
    from afmd.runtime.sweeper import Sweeper
    from afmd.runtime.watch import CaptureWatch
    from afmd.runtime.workers import Workers
    from afmd.telemetry.metrics import MetricsServer

Speaker = TypeVar("Speaker", Classifier, Segmenter, TipNetwork)


@dataclass(frozen=True, slots=True)
class Backends:
    """Who classifies and who segments; ``remarks`` says for whom the rules had to stand in, and why."""

    classifier: Classifier
    segmenter: Segmenter
    remarks: tuple[str, ...] = ()


def backends(models: settings.Models) -> Backends:
    """Return the backends that the settings ask for. Raises ``ModelError`` where a network is demanded and unfit."""
    remarks: list[str] = []
    # networks first: on Windows, ONNX Runtime must be loaded before OpenCV, which the rules load
    classifier = _chosen(models.classifier, lambda: _network_classifier(models), remarks)
    segmenter = _chosen(models.segmenter, lambda: _network_segmenter(models), remarks)
    if classifier is not None and models.classifier == "auto":
        classifier = JoinedClassifier(classifier, _rules_classifier())
    if segmenter is not None and models.segmenter == "auto":
        segmenter = JoinedSegmenter(segmenter, _rules_segmenter())
    return Backends(classifier or _rules_classifier(), segmenter or _rules_segmenter(), tuple(dict.fromkeys(remarks)))


def tip_network(models: settings.Models, method: TipMethod, remarks: list[str]) -> TipNetwork | None:
    """Return the network that removes a tip's shape, or None where the method needs none or ``auto`` finds none.

    ``remarks`` is told why ``auto`` found none. Raises ``ModelError`` where it is demanded and unfit.
    """
    if method not in (TipMethod.AUTO, TipMethod.NETWORK):
        return None
    return _chosen(method, lambda: _network_deconvolver(models), remarks)


def tip_plan(own: settings.Deconvolution, models: settings.Models, remarks: list[str]) -> "TipPlan | None":
    """Return how the tip's shape is removed, or None where it is left in; see `tip_network`. Raises ``ModelError``."""
    if own.mode == "off":
        return None
    from afmd.pipeline.deconvolution import TipPlan

    method = TipMethod(own.method)
    return TipPlan(own.tip(), method, tip_network(models, method, remarks))


def craft(params: Params, speakers: Backends, tip: "TipPlan | None" = None) -> "Craft":
    """Return reader and pipeline with everything in place."""
    from afmd.files.disk import load_bytes
    from afmd.files.nanoscope import decode
    from afmd.pipeline.restore import restore
    from afmd.runtime.limits import limit_opencv_threads
    from afmd.runtime.repairer import Craft

    limit_opencv_threads(1)
    whole = partial(
        restore,
        params=params,
        classifier=speakers.classifier,
        segmenter=speakers.segmenter,
        clock=time.perf_counter,
        tip=tip,
    )
    return Craft(load=load_bytes, decode=decode, restore=whole)


def results(outputs: settings.Outputs) -> Results:
    """Return where results are kept."""
    from afmd.files.outputs import OutputFolder

    return OutputFolder(outputs)


def daemon(own: settings.Settings) -> "Daemon":
    """Put a daemon together: lock, ledger and metrics port are taken, and nothing moves yet.

    Raises ``AlreadyRunning``, ``LedgerError``, ``ModelError``, ``SettingsError``, ``StorageError``.
    """
    from afmd.runtime.daemon import Daemon

    with ExitStack() as taken:
        parts = _Assembly(own, taken).parts()
        taken.pop_all()
    return Daemon(parts)


def examine_capture(own: settings.Settings) -> str:
    """List the capture folder and say what lies there. Raises ``StorageError``."""
    from afmd.files.capture import CaptureFolder

    listing = CaptureFolder(own.capture, ignore=(own.outputs.root,)).listing()
    hidden = f", {len(listing.hidden)} that cannot be read" if listing.hidden else ""
    return f"{own.capture.folder}, {len(listing.files)} files that may be scans{hidden}"


def examine_ledger(own: settings.Settings) -> str:
    """Look at the ledger and whether a daemon works with it already. Raises ``AlreadyRunning``, ``LedgerError``."""
    from afmd.files.ledger_file import examine
    from afmd.runtime.lock import InstanceLock

    if not own.ledger.path.exists():
        examine(own.ledger.path)
        return f"{own.ledger.path}, a new one"
    with InstanceLock(own.ledger.path):  # first, for the log of a ledger at work never holds still
        examine(own.ledger.path)
    return str(own.ledger.path)


def examine_server(own: settings.Settings) -> str:
    """Look at address, certificates and tokens. Raises ``AlreadyRunning``, ``SettingsError``."""
    from afmd.rpc.server import examine

    examine(own.server)
    guarded = "TLS" if own.server.tls_certificate else "no TLS"
    return f"{own.server.host}:{own.server.port or 'any free port'}, {guarded}"


def examine_metrics(own: settings.Settings) -> str:
    """Try the metrics port. Raises ``AlreadyRunning``."""
    from afmd.telemetry.metrics import LOOPBACK, Metrics, MetricsServer

    if not own.metrics.port:
        return "off"
    MetricsServer(Metrics(), port=own.metrics.port).stop()
    return f"http://{LOOPBACK}:{own.metrics.port}/metrics"


def examine_models(own: settings.Settings) -> str:
    """Load whoever is to classify, segment and remove the tip, and name them. Raises ``ModelError``."""
    found = backends(own.models)
    remarks = list(found.remarks)
    tip = tip_plan(own.deconvolution, own.models, remarks)
    removal = () if tip is None else (f"tip by {_remover(tip)}",)
    return "; ".join((f"{found.classifier.backend}, {found.segmenter.backend}", *removal, *remarks))


class _Assembly:
    """Joins the parts of one daemon; ``taken`` lets go of what is held where a later part cannot be made."""

    def __init__(self, own: settings.Settings, taken: ExitStack) -> None:
        from afmd.files.capture import CaptureFolder
        from afmd.files.ledger import SqliteLedger
        from afmd.runtime.announced import AnnouncedLedger
        from afmd.runtime.bus import RevisionBus
        from afmd.runtime.clock import SystemClock
        from afmd.runtime.lock import InstanceLock
        from afmd.runtime.progress import Progress
        from afmd.telemetry.logs import logger
        from afmd.telemetry.metrics import Metrics

        self.own, self.taken = own, taken
        self.clock: Clock = SystemClock()
        self.lock = taken.enter_context(InstanceLock(own.ledger.path))
        plain: Ledger = SqliteLedger(own.ledger.path, clock=self.clock, keep_events=own.ledger.keep_events)
        taken.callback(plain.close)
        self.metrics = Metrics()
        self.bus: Bus = RevisionBus(plain.revision())
        self.ledger = AnnouncedLedger(plain, bus=self.bus, metrics=self.metrics)
        self.progress = Progress(monotonic=time.monotonic, wall=time.time)
        self.folder = CaptureFolder(own.capture, ignore=(own.outputs.root,))
        self.results = results(own.outputs)
        self.speakers = backends(own.models)
        remarks = list(self.speakers.remarks)
        self.tip = tip_plan(own.deconvolution, own.models, remarks)
        for remark in remarks:
            logger("compose").warning("models.rules", why=remark)

    def parts(self) -> "Parts":
        """Make and join everything."""
        from afmd.runtime.daemon import Parts

        workers = self._workers()
        intake = self._intake(workers)
        status = self._status(workers, intake)
        watch = self._watch(intake, workers)
        return Parts(
            settings=self.own, ledger=self.ledger, workers=workers, sweeper=self._sweeper(workers, status),
            folder=watch, door=self._door(status), status=status, progress=self.progress,
            metrics=self._metrics_server(status), unlock=self.lock.release,
        )  # fmt: skip

    def _workers(self) -> "Workers":
        from afmd.runtime.limits import lower_thread_priority
        from afmd.runtime.repairer import Repairer
        from afmd.runtime.workers import Workers

        asked = self.own.workers
        repairer = Repairer(
            craft(self.own.restore.params(), self.speakers, self.tip), ledger=self.ledger, results=self.results,
            capture=self.own.capture.folder, progress=self.progress, metrics=self.metrics, attempts=asked.attempts,
        )  # fmt: skip
        return Workers(
            repairer, count=asked.count, queue_length=asked.queue_length,
            at_start=lower_thread_priority if asked.below_normal_priority else lambda: None,
        )  # fmt: skip

    def _intake(self, workers: "Workers") -> "Intake":
        from afmd.files.nanoscope import promised_bytes, refusal
        from afmd.runtime.intake import Intake

        return Intake(
            self.folder, ledger=self.ledger, offer=workers.offer, promised_bytes=promised_bytes, refusal=refusal,
            clock=self.clock,
        )  # fmt: skip

    def _watch(self, intake: "Intake", workers: "Workers") -> "CaptureWatch":
        from afmd.runtime.watch import CaptureWatch

        watch = CaptureWatch(
            intake, reconcile_s=self.own.capture.reconcile_s, clock=self.clock, compared=self.progress.moved,
            hints=self._hints if self.own.capture.events else None,
        )  # fmt: skip
        workers.on_room = watch.nudge
        return watch

    def _hints(self, tell: Callable[[str | None], None]) -> "FolderHints":
        from afmd.files.hints import FolderHints

        return FolderHints(self.folder, tell=tell)

    def _sweeper(self, workers: "Workers", status: "StatusBoard") -> "Sweeper":
        from afmd.runtime.housekeeping import Housekeeping
        from afmd.runtime.sweeper import Sweeper

        return Sweeper(
            self.ledger, offer=workers.offer, waiting=lambda: workers.queue, clock=self.clock,
            settings=self.own.workers, also=Housekeeping(status, workers, rest=_rest_networks),
        )  # fmt: skip

    def _status(self, workers: "Workers", intake: "Intake") -> "StatusBoard":
        from afmd.runtime.status import Facts, Gauges, StatusBoard

        facts = Facts(
            version=__version__, started=self.clock.now(), classifier=self.speakers.classifier.backend,
            segmenter=self.speakers.segmenter.backend, settings=self.own,
        )  # fmt: skip
        gauges = Gauges(
            queue=lambda: workers.queue, busy=lambda: workers.busy, capture_reachable=lambda: intake.reachable,
            last_failure=lambda: intake.last_error or self.ledger.last_failure,
        )  # fmt: skip
        return StatusBoard(facts, gauges, ledger=self.ledger, progress=self.progress)

    def _door(self, status: "StatusBoard") -> "RpcServer":
        from afmd.files.pictures import Pictures
        from afmd.rpc.server import RpcServer

        return RpcServer(
            self.own.server, ledger=self.ledger, results=self.results, renderer=Pictures(), bus=self.bus,
            status=status, on_fault=_rpc_fault,
        )  # fmt: skip

    def _metrics_server(self, status: "StatusBoard") -> "MetricsServer | None":
        from afmd.telemetry.metrics import MetricsServer

        if not self.own.metrics.port:
            return None
        self.metrics.ask(status, last_progress=self.progress.last_move)
        server = MetricsServer(self.metrics, port=self.own.metrics.port)
        self.taken.callback(server.stop)
        return server


def _rpc_fault(where: str, error: Exception) -> None:
    from afmd.telemetry.logs import logger

    logger("rpc").error("rpc.fault", where=where, exc_info=error)


def _chosen(asked: str, network: Callable[[], Speaker], remarks: list[str]) -> Speaker | None:
    """Return the network, or None where the rules are to speak."""
    if asked == "rules":
        return None
    try:
        return network()
    except ModelError as e:
        if asked == "network":
            raise
        remarks.append(str(e))
        return None


def _network_classifier(models: settings.Models) -> Classifier:
    from afmd.inference import network_classifier

    return network_classifier(models.weights, threads=models.threads, trial=models.classifier == "network")


def _network_segmenter(models: settings.Models) -> Segmenter:
    from afmd.inference import network_segmenter

    return network_segmenter(models.weights, threads=models.threads, trial=models.segmenter == "network")


def _remover(tip: "TipPlan") -> str:
    if tip.network is not None:
        return str(tip.network.backend)
    return TipMethod.CERTAINTY if tip.method is TipMethod.AUTO else tip.method


def _network_deconvolver(models: settings.Models) -> TipNetwork:
    from afmd.inference.deconvolution import network_deconvolver
    from afmd.science.tip.planes import RECIPE, tip_view

    return network_deconvolver(models.weights, look=tip_view, recipe=RECIPE, threads=models.threads)


def _rest_networks() -> None:
    """Let the networks give memory back, where any was ever opened; asking must not load them."""
    sessions = sys.modules.get("afmd.inference.sessions")
    if sessions is not None:
        sessions.rest()


def _rules_classifier() -> Classifier:
    from afmd.science.rules import RulesClassifier

    return RulesClassifier()


def _rules_segmenter() -> Segmenter:
    from afmd.science.rules import RulesSegmenter

    return RulesSegmenter()
