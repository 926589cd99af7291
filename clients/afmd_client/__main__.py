"""``python -m afmd_client`` is afmctl."""

import sys

from afmd_client.cli import main

sys.exit(main())
