"""The API server: plain JSON in and out, with the official client's configuration.

Every write passes `Cluster.write`, and with it the gate.

The gate is asked as late as possible: for each try of a request anew, once its connection stands, right before its
bytes are handed to the socket. A process that is paused before that writes nothing when it goes on after its lease has
ended. What is left: bytes that the socket took and the network holds back, which the kernel throws away before the
lease ends (see `connection`), and a pause between question and socket, some microseconds wide. What comes through there
is refused by the API server if anything was written since: status patches carry a resourceVersion, children have names
that are derived from the run, deletions name the uid of what they delete.
"""

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException

from rekindle_operator.connection import DELIVERY_SECONDS, session
from rekindle_operator.metrics import Metrics

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_PAGE = 500
_HEADERS = {"Accept": "application/json"}
_LONGEST_RETRY_AFTER = 60.0
"""A longer wait is not believed: it would leave jobs alone long after whatever was the trouble has passed."""
_DEFAULT_KUBECONFIG = str(Path("~/.kube/config").expanduser())


class ClusterUnconfigured(Exception):  # noqa: N818 - it names a state, as the message does
    """No usable kubeconfig and no service account."""


class ApiError(Exception):
    """The API server refused a request, or gave no answer (status 0)."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def final(self) -> bool:
        """Whether the same request will be refused again: it is invalid, rather than forbidden, early or unlucky."""
        return 400 <= self.status < 500 and self.status not in {401, 403, 404, 408, 409, 425, 429}


class NotLeading(ApiError):  # noqa: N818 - it names a state, as the message does
    """A write was not sent: this process does not lead now."""

    def __init__(self) -> None:
        super().__init__(0, "NotLeading", "nothing was sent, since another operator may lead now")


class Gate(Protocol):
    """Says whether this process may write now."""

    def check(self) -> float:
        """Return for how many seconds a write may be under way.

        Raises:
            NotLeading: None may begin now.
        """


class OpenGate:
    """The gate for requests that need no leader."""

    def check(self) -> float:
        """Let every write pass."""
        return math.inf


async def configuration(kubeconfig: Path | None) -> Configuration:
    """Return how to reach the API server.

    Raises:
        ClusterUnconfigured: There is neither a usable kubeconfig nor a service account.
    """
    result = Configuration()
    named = str(kubeconfig or os.environ.get("KUBECONFIG") or "")
    try:
        if not named and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(result)
        else:
            await config.load_kube_config(
                config_file=named or _DEFAULT_KUBECONFIG, client_configuration=result, persist_config=False
            )
    except (ConfigException, OSError) as error:
        raise ClusterUnconfigured(str(error)) from error
    return result


class Cluster:
    """One connection pool to the API server."""

    def __init__(
        self,
        configuration: Configuration,
        metrics: Metrics,
        gate: Gate,
        timeout: float,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._configuration = configuration
        self._metrics = metrics
        self._gate = gate
        self._timeout = timeout
        self._writes: set[asyncio.Task[Json]] = set()
        connections = configuration.connection_pool_maxsize
        self._session = session(
            configuration, self._guard(), connections=connections, delivery_seconds=delivery_seconds
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def settle(self) -> None:
        """Wait until no write is under way any more, by its answer or by its time limit, and the answers are told."""
        if self._writes:
            await asyncio.wait(self._writes)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """Return one object.

        Raises:
            ApiError: It could not be read.
        """
        return _object(await self._request("GET", path, query=query))

    async def text(self, path: str, query: Mapping[str, str], seconds: float) -> str:
        """Return a log as text, read in at most `seconds`.

        Raises:
            ApiError: It could not be read.
        """
        return (await self._request("GET", path, query=query, seconds=seconds)).decode(errors="replace")

    async def list(self, path: str, selector: str = "", fields: str = "") -> tuple[list[Json], int]:
        """Return all objects of a collection that both selectors choose, and the resource version of the list.

        Raises:
            ApiError: They could not be read.
        """
        items: list[Json] = []
        version = "0"
        async for page in self.pages(path, selector, fields):
            items.extend(page.get("items") or [])
            version = str(page.get("metadata", {}).get("resourceVersion") or "0")
        return items, int(version) if version.isdecimal() else 0

    async def pages(self, path: str, selector: str = "", fields: str = "") -> AsyncIterator[Json]:
        """Yield the objects of a collection that both selectors choose, in lists of at most 500.

        Raises:
            ApiError: They could not be read.
        """
        chosen = {"labelSelector": selector, "fieldSelector": fields}
        query = {"limit": str(_PAGE), **{name: value for name, value in chosen.items() if value}}
        while True:
            page = await self.get(path, query)
            yield page
            if not page.get("metadata", {}).get("continue"):
                return
            query["continue"] = page["metadata"]["continue"]

    async def write(
        self,
        verb: str,
        path: str,
        body: Json,
        content_type: str = "application/json",
        tell: Callable[[Json], None] = lambda _: None,
    ) -> Json:
        """Create, change or delete one object, tell what the API server answers, and return it.

        What is under way is not broken off when the caller is cancelled, and is told: `settle` waits for both.

        Raises:
            ApiError: It was refused.
            NotLeading: It was not sent.
        """
        seconds = min(self._timeout, self._gate.check())

        async def told() -> Json:
            answer = _object(await self._request(verb, path, body=body, content_type=content_type, seconds=seconds))
            tell(answer)
            return answer

        request = asyncio.create_task(told(), name=f"{verb} {path}")
        self._writes.add(request)
        request.add_done_callback(self._ended)
        return await asyncio.shield(request)

    async def review(self, path: str, body: Json) -> Json:
        """Ask a question that the API wants as a POST and that changes nothing.

        Raises:
            ApiError: It was not answered.
        """
        return _object(await self._request("POST", path, body=body))

    def _ended(self, request: asyncio.Task[Json]) -> None:
        self._writes.discard(request)
        if not request.cancelled():
            request.exception()  # one that nobody waits for any more is no news

    def _guard(self) -> aiohttp.TraceConfig:
        """Ask the gate right before a body is handed to the socket: what has a body changes something."""
        trace = aiohttp.TraceConfig()

        async def sending(*_: object) -> None:
            self._gate.check()

        trace.on_request_chunk_sent.append(sending)
        return trace

    async def _request(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        seconds: float | None = None,
    ) -> bytes:
        limit = aiohttp.ClientTimeout(total=seconds or self._timeout, sock_connect=5)
        try:
            async with self._session.request(
                verb,
                self._configuration.host + path,
                params=query,
                headers=_HEADERS if body is None else {**_HEADERS, "Content-Type": content_type},
                data=None if body is None else json.dumps(body).encode(),
                timeout=limit,
                server_hostname=self._configuration.tls_server_name,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error.__cause__, NotLeading):
                raise NotLeading from error
            self._metrics.api_requests.labels(verb, "0").inc()
            raise ApiError(0, type(error).__name__, str(error) or "no answer") from error
        self._metrics.api_requests.labels(verb, str(response.status)).inc()
        if response.status >= 400:
            raise _error(response.status, response.headers, content)
        return content


def _object(content: bytes) -> Json:
    decoded: Json = json.loads(content)
    return decoded


def _error(code: int, headers: Mapping[str, str], content: bytes) -> ApiError:
    try:
        status = json.loads(content)
    except ValueError:
        status = {}
    status = status if isinstance(status, dict) else {}
    after = headers.get("Retry-After", "")
    return ApiError(
        code,
        str(status.get("reason") or code),
        str(status.get("message") or content[:256].decode(errors="replace")),
        min(_LONGEST_RETRY_AFTER, float(after)) if after.isdecimal() else None,
    )


async def wait_until_answering(cluster: Cluster, deadline: float) -> None:
    """Wait until the API server answers, for at most `deadline` seconds.

    Raises:
        ApiError: It did not.
    """
    end = asyncio.get_running_loop().time() + deadline
    while True:
        try:
            await cluster.get("/version")
        except ApiError as error:
            if error.status not in {0, 429, 500, 503} or asyncio.get_running_loop().time() >= end:
                raise
            await asyncio.sleep(0.5)
        else:
            return
