"""The custom resources of one namespace: requests, pages of a list, watches. The one module that calls Kubernetes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import ClientError, ClientResponse
from kubernetes.aio import client, config

from rekindle_api.bridge.answers import Answer
from rekindle_api.bridge.resources import Kind
from rekindle_crds import GROUP, VERSION, Label

PAGE = 500
_SELECTOR: str = Label.ATTEMPT
_GONE = 410


class ClusterUnavailableError(Exception):
    """Kubernetes did not answer, or not with what was asked for."""


class ExpiredError(Exception):
    """The version to watch or to list on from is too old: start with a new list."""


@dataclass(frozen=True)
class Page:
    """Some of the resources; `resource_version` is where a watch goes on from the list."""

    resources: list[dict[str, Any]]
    resource_version: str


@dataclass(frozen=True)
class Event:
    """One change that a watch tells. A bookmark carries only the version."""

    kind: str
    resource: dict[str, Any] = field(default_factory=dict)

    @property
    def resource_version(self) -> str:
        """Where a new watch goes on after this event."""
        version: str = self.resource["metadata"]["resourceVersion"]
        return version


class Cluster:
    """The API server, and the namespace whose resources belong to attempts."""

    def __init__(self, api: client.ApiClient, namespace: str, request_seconds: float) -> None:
        self.namespace = namespace
        self._api = client.CustomObjectsApi(api)
        self._seconds = float(request_seconds)

    @classmethod
    @asynccontextmanager
    async def connect(cls, namespace: str, request_seconds: float) -> AsyncIterator[Self]:
        """Open a client: by the service account in a pod, else by KUBECONFIG.

        Raises:
            kubernetes.aio.config.ConfigException: neither is there or valid.
        """
        settings = client.Configuration()
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            config.load_incluster_config(client_configuration=settings)
        else:
            await config.load_kube_config(
                config_file=os.environ.get("KUBECONFIG"), client_configuration=settings, persist_config=False
            )
        async with client.ApiClient(configuration=settings) as api:
            yield cls(api, namespace, request_seconds)

    def of(self, kind: Kind[Any]) -> "Resources":
        """Return the resources of one kind."""
        return Resources(self._api, self.namespace, kind, self._seconds)


class Resources:
    """The resources of one kind in one namespace that belong to attempts."""

    def __init__(self, api: client.CustomObjectsApi, namespace: str, kind: Kind[Any], request_seconds: float) -> None:
        self.kind = kind
        self.namespace = namespace
        self._api = api
        self._where: dict[str, Any] = {
            "group": GROUP,
            "version": VERSION,
            "namespace": namespace,
            "plural": kind.resource.plural,
        }
        self._seconds = request_seconds

    async def create(self, resource: dict[str, Any]) -> Answer:
        """Create a resource. Fields that the installed schema does not know are refused, not dropped."""
        return await self._answer(
            self._api.create_namespaced_custom_object(
                **self._where, body=resource, field_validation="Strict", _request_timeout=self._seconds
            )
        )

    async def get(self, name: str) -> Answer:
        """Read one resource."""
        return await self._answer(
            self._api.get_namespaced_custom_object(**self._where, name=name, _request_timeout=self._seconds)
        )

    async def cancel(self, name: str) -> Answer:
        """Set spec.cancel of a resource."""
        return await self._answer(
            self._api.patch_namespaced_custom_object(
                **self._where,
                name=name,
                body={"spec": {"cancel": True}},
                _content_type="application/merge-patch+json",
                _request_timeout=self._seconds,
            )
        )

    async def delete(self, name: str) -> Answer:
        """Delete a resource; what it owns goes after it."""
        return await self._answer(
            self._api.delete_namespaced_custom_object(**self._where, name=name, _request_timeout=self._seconds)
        )

    async def pages(self) -> AsyncIterator[Page]:
        """List every resource that belongs to an attempt, as of now, page by page.

        Raises:
            ClusterUnavailableError: no answer, or a refusal.
            ExpiredError: the list took longer than the server remembers.
        """
        position: str | None = None
        while True:
            answer = await self._answer(
                self._api.list_namespaced_custom_object(
                    **self._where,
                    label_selector=_SELECTOR,
                    limit=PAGE,
                    _continue=position,
                    _request_timeout=self._seconds,
                )
            )
            if answer.code == _GONE:
                raise ExpiredError
            if answer.resource is None:
                raise ClusterUnavailableError(answer.error)
            metadata = answer.resource["metadata"]
            yield Page(answer.resource["items"], metadata["resourceVersion"])
            position = metadata.get("continue") or None
            if position is None:
                return

    async def watch(self, resource_version: str, silence_seconds: float) -> AsyncIterator[Event]:
        """Yield changes after `resource_version` until the server ends the stream or says nothing for too long.

        Raises:
            ClusterUnavailableError: the stream could not be opened or broke.
            ExpiredError: `resource_version` is too old.
        """
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._api.list_namespaced_custom_object_without_preload_content(
                    **self._where,
                    label_selector=_SELECTOR,
                    watch=True,
                    allow_watch_bookmarks=True,
                    resource_version=resource_version,
                    _request_timeout=24 * 3600.0,
                )
            try:
                _refuse(response.status, response.reason or "")
                # Not wait_for: in Python 3.11 it takes a line that is there for the answer to a cancellation.
                while line := await _within(silence_seconds, response.content.readline()):
                    yield _event(line)
            finally:
                _hang_up(response)
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterUnavailableError(_told(error)) from error

    @staticmethod
    async def _answer(request: Awaitable[Any]) -> Answer:
        try:
            resource = await request
        except client.ApiException as error:
            return Answer(int(error.status or 0), _message(error))
        except (ClientError, TimeoutError, OSError) as error:
            return Answer(0, _told(error))
        return Answer(200, resource=resource)


def _hang_up(response: ClientResponse) -> None:
    """Close a connection in the middle of a stream at once: the farewells of TLS could outlast the event loop."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def _within(seconds: float, reading: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(seconds):
        return await reading


def _refuse(code: int, reason: str) -> None:
    if code == _GONE:
        raise ExpiredError
    if code != 200:
        raise ClusterUnavailableError(f"{code}: {reason}")


def _event(line: bytes) -> Event:
    told = json.loads(line)
    if told["type"] == "ERROR":
        status = told["object"]
        _refuse(int(status.get("code") or 500), str(status.get("message", "")))
    return Event(told["type"], told["object"])


def _message(error: client.ApiException) -> str:
    """What the API server says in the Status object of a refusal."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason or "")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
