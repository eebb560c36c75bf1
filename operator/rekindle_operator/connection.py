"""Connections to the API server that end by themselves when nothing answers at the other side any more."""

import socket
import ssl
from typing import Any

import aiohttp

_IDLE_SECONDS = 10
_PROBE_SECONDS = 5
_PROBES = 3
DELIVERY_SECONDS = 20.0
"""How long the kernel tries to deliver what was written, when nothing shorter is asked for."""


def connector(trust: ssl.SSLContext, limit: int, delivery_seconds: float = DELIVERY_SECONDS) -> aiohttp.TCPConnector:
    """Return a pool of at most `limit` connections, 0 for no limit.

    A host that is gone without a word is noticed by probes. What it does not acknowledge within `delivery_seconds` is
    thrown away with the connection: otherwise the kernel would deliver a request many minutes later, long after this
    process has given it up.
    """

    def open_socket(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        result = socket.socket(family, kind, protocol)
        result.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        result.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_SECONDS)
        result.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
        result.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        result.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(delivery_seconds * 1000))
        return result

    return aiohttp.TCPConnector(limit=limit, ssl=trust, socket_factory=open_socket)
