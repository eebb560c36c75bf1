"""Free TCP ports on 127.0.0.1, for programs that must be told their port."""

import random
import socket
from collections.abc import Callable
from typing import TypeVar

from rekindle_dev.processes import PortTakenError

T = TypeVar("T")

# Below the range from which Linux gives ports to outgoing connections, so that a part finds its port free again after
# a restart.
_FIRST, _LAST = 20_000, 31_999
_TRIES = 5


def is_free(port: int) -> bool:
    """Whether a program could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that are free at this moment."""
    candidates = random.SystemRandom().sample(range(_FIRST, _LAST + 1), 200 + count)
    found = [port for port in candidates if is_free(port)]
    if len(found) < count:
        raise RuntimeError(f"no {count} free TCP ports between {_FIRST} and {_LAST} on 127.0.0.1")
    return found[:count]


def on_free_ports(count: int, start: Callable[[list[int]], T]) -> T:
    """Call `start` with free ports, again with others if one of them was taken in between.

    Raises:
        PortTakenError: if that happens five times in a row.
    """
    for _ in range(_TRIES - 1):
        try:
            return start(free_ports(count))
        except PortTakenError:
            continue
    return start(free_ports(count))
