"""``afmd serve``: the daemon, until a signal ends it."""

import argparse
import asyncio

from afmd import settings
from afmd.errors import AfmdError


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
    return 0
