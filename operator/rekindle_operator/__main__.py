"""`python -m rekindle_operator` is `rekindle-operator`."""

import sys

from rekindle_operator.cli import main

sys.exit(main())
