"""Entry point of `python -m rekindle_worker`, the same as the command rekindle-worker."""

import sys

from rekindle_worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
