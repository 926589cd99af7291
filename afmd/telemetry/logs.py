"""structlog as JSON lines, one object a line, and nothing lost: foreign loggers and uncaught errors end here too.

Rule: events are noun.verb, numbers are fields, and one line a scan (``scan.restored``) tells the whole story.
"""

import asyncio
import logging
import logging.handlers
import sys
import threading
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from afmd.errors import AfmdError, StorageError
from afmd.settings import Log

MIB = 1024 * 1024

SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)


def configure(log: Log) -> None:
    """Send every log line of this process to ``log.file``, or to standard error. Raises ``StorageError``."""
    handler = _handler(log)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _event_first,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    level = getattr(logging, log.level.upper())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("afmd").setLevel(level)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def logger(room: str) -> FilteringBoundLogger:
    """Return the logger of a room: ``logger("runtime")`` writes as ``afmd.runtime``."""
    return cast("FilteringBoundLogger", structlog.get_logger(f"afmd.{room}"))


def log_uncaught() -> None:
    """Have errors that no one caught, in any thread, leave a line with their traceback."""
    log = logger("uncaught")

    def main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("error.uncaught", thread="main", exc_info=(kind, error, trace))

    def thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else ""
        log.critical("error.uncaught", thread=name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook = main
    threading.excepthook = thread


def log_uncaught_in(loop: asyncio.AbstractEventLoop) -> None:
    """Have errors that no task awaited leave a line with their traceback."""
    log = logger("uncaught")

    def asynchronous(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.critical("error.uncaught", thread="loop", text=context.get("message"), exc_info=context.get("exception"))

    loop.set_exception_handler(asynchronous)


def error_fields(error: BaseException) -> dict[str, str]:
    """Return reason, what, why and mend of an error; a stranger's are its type and text."""
    told = ours(error)
    return {"reason": told.reason, "what": told.what, "why": told.why, "mend": told.mend}


def ours(error: BaseException) -> AfmdError:
    """Return ``error`` where it is of our tree, or what a stranger amounts to in it: a defect of ours."""
    if isinstance(error, AfmdError):
        return error
    return AfmdError(type(error).__name__, why=str(error) or "no text", mend="Tell the authors what the log says")


def _handler(log: Log) -> logging.Handler:
    if log.file is None:
        return logging.StreamHandler(sys.stderr)
    return _file_handler(log.file, max_bytes=log.max_mib * MIB, keep=log.keep_files)


def _file_handler(path: Path, *, max_bytes: int, keep: int) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(path, maxBytes=max_bytes, backupCount=keep, encoding="utf-8")
    except OSError as e:
        raise StorageError(
            f"log file {path}", why=e.strerror or str(e), mend="Give a file in a writable folder, or leave it empty"
        ) from e


def _event_first(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put time, level and event first: people read these lines too."""
    head = {key: fields.pop(key) for key in ("time", "level", "event") if key in fields}
    return {**head, **fields}
