"""Sessions with the API server: the official client's configuration and credentials, on connections of our own.

A connection ends by itself when nothing answers at the other side any more.
"""

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

_IDLE_SECONDS = 10
_PROBE_SECONDS = 5
_PROBES = 3
DELIVERY_SECONDS = 20.0
"""How long the kernel tries to deliver what was written, when nothing shorter is asked for."""


def session(
    configuration: Configuration,
    trace: aiohttp.TraceConfig,
    *,
    connections: int,
    delivery_seconds: float = DELIVERY_SECONDS,
) -> aiohttp.ClientSession:
    """Return a session of at most so many connections, 0 for no limit, whose requests carry fresh credentials."""

    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await configuration.get_api_key_with_prefix("BearerToken")
        if token:
            request.headers["Authorization"] = token
        return await handler(request)

    return aiohttp.ClientSession(
        connector=_connector(RESTClientObject(configuration).ssl_context, connections, delivery_seconds),
        middlewares=(authenticate,),
        trace_configs=[trace],
        proxy=configuration.proxy or _proxy_of_environment(configuration.host),
        headers={"User-Agent": "rekindle-operator"},
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=2**21,
    )


def _proxy_of_environment(host: str) -> str | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY mean for the API server, asked once instead of every time."""
    url = urlsplit(host)
    return None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)


def _connector(trust: ssl.SSLContext, limit: int, delivery_seconds: float) -> aiohttp.TCPConnector:
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
