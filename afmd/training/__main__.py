"""``python -m afmd.training`` makes models."""

import sys

from afmd.training.commands import main

if __name__ == "__main__":
    sys.exit(main())
