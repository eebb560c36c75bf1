"""The Kubernetes API as the node sees it: plain objects in, plain objects out, and a list-and-watch that never ends."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
from kubernetes.aio import client, config

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, in the form of the wire."""

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"

_WATCH_SECONDS = 240
_LONGEST_PAUSE = 5.0  # seconds
_log = logging.getLogger(__name__)


class ApiError(Exception):
    """The API server answered a request with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"the API server answered {code}: {message}")
        self.code = code


@dataclass(frozen=True)
class Listed:
    """All objects there are, at the start and whenever a watch could not be continued."""

    objects: list[Object]


@dataclass(frozen=True)
class Changed:
    """One object as it is now, or as it was last when it is gone."""

    object: Object
    gone: bool


UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request raises when the API server does not answer at all."""


class ApiServer:
    """A connection to the API server that a kubeconfig names; use it as an asynchronous context manager."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client

    @classmethod
    async def connect(cls, kubeconfig: Path) -> Self:
        """Read the kubeconfig; nothing is sent yet.

        Raises:
            kubernetes.aio.config.ConfigException: when the file is no kubeconfig.
        """
        configuration = client.Configuration()
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
        configuration.connection_pool_maxsize = 64
        return cls(client.ApiClient(configuration))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.rest_client.close()

    @property
    def authority(self) -> str | None:
        """The certificates (PEM) that the kubeconfig trusts, which vouch for the API server as a client too."""
        file = self._client.configuration.ssl_ca_cert
        return Path(file).read_text() if file else None

    async def request(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request and return the object in the answer.

        Raises:
            ApiError: when the API server answers with an error.
            aiohttp.ClientError, OSError, TimeoutError: when it does not answer.
        """
        response = await self._send(method, path, query=query or {}, body=body, content_type=content_type, seconds=30)
        answer: Object = json.loads(await response.response.read())
        return answer

    async def exists(self, path: str) -> bool:
        """Say whether the object at this path exists.

        Raises:
            ApiError: on any other answer than yes or no.
        """
        try:
            await self.request("GET", path)
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    async def follow(self, path: str, field_selector: str) -> AsyncIterator[Listed | Changed]:
        """Yield all objects of a collection, then each change, through disconnects and expired versions."""
        version = ""
        pause = 0.1
        while True:
            try:
                if not version:
                    listed = await self.request("GET", path, query={"fieldSelector": field_selector})
                    version = listed["metadata"]["resourceVersion"]
                    yield Listed(listed["items"])
                async for event in self._watch(path, field_selector, version):
                    pause = 0.1
                    kind, observed = event["type"], event["object"]
                    if kind == "ERROR":
                        version = ""
                        break
                    version = observed["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield Changed(observed, gone=kind == "DELETED")
                else:
                    continue
            except ApiError as error:
                version = ""
                _log.warning("watch interrupted path=%s error=%s", path, error)
            except (ValueError, *UNREACHABLE) as error:  # a line that was cut off is no JSON
                _log.warning("watch interrupted path=%s error=%r", path, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _watch(self, path: str, field_selector: str, version: str) -> AsyncIterator[Object]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "fieldSelector": field_selector,
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        response = await self._send("GET", path, query=query, seconds=_WATCH_SECONDS + 30)
        try:
            while line := await response.response.content.readline():
                yield json.loads(line)
        finally:
            response.response.close()

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Object | None = None,
        content_type: str = "application/json",
        seconds: float,
    ) -> client.rest.RESTResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        verb, url, headers, sent, _ = await self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(verb, url, headers, sent, _request_timeout=seconds)
        if not 200 <= response.status < 300:
            raise ApiError(response.status, _message(await response.response.read()))
        return response


def pod_path(pod: Object) -> str:
    """Return the path of a pod in the API."""
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode(errors="replace")
