"""``afmd serve``: the daemon, until a signal ends it."""

import argparse
import asyncio
import logging
import os
import threading

from afmd import settings
from afmd.errors import AfmdError

LEAVE_S = 2.0


def run(arguments: argparse.Namespace) -> int:
    """Serve, drain, and return 0. Raises whatever keeps the daemon from starting."""
    from afmd import compose
    from afmd.runtime.limits import lower_process_priority
    from afmd.telemetry import logs

    own = settings.load(arguments.config)
    logs.configure(own.log)
    logs.log_uncaught()
    try:
        if own.workers.below_normal_priority:
            lower_process_priority()
        asyncio.run(compose.daemon(own).run())
    except AfmdError as e:
        logs.logger("cli").critical("daemon.refused", **logs.error_fields(e))
        raise
    return _ended(0)


def _ended(status: int) -> int:
    """Return the status; where a thread still hangs on a disk that is gone, end without waiting for it."""
    left = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    for thread in left:
        thread.join(LEAVE_S)
    if any(thread.is_alive() for thread in left):
        logging.shutdown()
        os._exit(status)
    return status
