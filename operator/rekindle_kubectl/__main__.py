"""`python -m rekindle_kubectl` is `kubectl rekindle`."""

import sys

from rekindle_kubectl.cli import main

if __name__ == "__main__":
    sys.exit(main())
