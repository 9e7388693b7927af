"""``python -m manumatic.cli``."""

__all__ = ["main"]

import sys

from manumatic.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
