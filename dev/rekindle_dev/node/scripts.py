"""Scripts of idle pods: an image may stand for a function instead of a command.

It reads a container's environment and says how long the container seems to run, what it prints meanwhile and how it
ends.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True)
class Life:
    """What a container seems to do."""

    seconds: float
    """How long it runs."""
    log: Callable[[float], str]
    """Returns what it has printed after so many seconds."""
    exit_code: int = 0
    message: str = ""
    """What it leaves as its termination message."""


Script = Callable[[Mapping[str, str]], Life]
"""Returns the life of a container with this environment."""


def load(name: str) -> Script:
    """Return the script that is called `MODULE:FUNCTION`.

    Raises:
        ImportError, AttributeError: when there is none.
    """
    module, _, function = name.partition(":")
    return cast("Script", getattr(importlib.import_module(module), function))
