"""``python -m framedose`` is the command ``framedose``."""

import sys

from framedose.cli import main

if __name__ == "__main__":
    sys.exit(main())
