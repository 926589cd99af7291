"""``python -m afmd`` is the command ``afmd``."""

import sys

from afmd.cli import main

sys.exit(main())
