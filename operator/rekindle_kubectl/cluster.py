"""The API server: plain JSON in and out, in one namespace. The one module that calls Kubernetes."""

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.client.rest import RESTResponse
from kubernetes.config.config_exception import ConfigException

from rekindle_crds import GROUP, VERSION
from rekindle_crds.crd import Resource
from rekindle_kubectl.errors import ClusterError, NotInstalledError, PluginError
from rekindle_kubectl.jobs import Job, Json, not_found, parse_name, read, refer

PODS, EVENTS = "pods", "events"
_CORE = {PODS, EVENTS}
_PAGE = 500
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Cluster:
    """One namespace of a cluster, with the caller's rights."""

    def __init__(self, settings: Configuration, namespace: str) -> None:
        self.namespace = namespace
        self.server: str = settings.host
        self._api = ApiClient(settings)
        self._api.user_agent = "kubectl-rekindle"

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None, namespace: str | None) -> Self:
        """Choose cluster, user and namespace as kubectl does: by option, by kubeconfig, in a pod by its account.

        Raises:
            PluginError: There is no usable kubeconfig.
        """
        settings = Configuration()
        settings.retries = urllib3.Retry(total=0)
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        named = kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and not any(map(os.path.exists, named.split(os.pathsep))):
                config.load_incluster_config(settings)
                own = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
            else:
                own = _namespace_of_context(named, context)
                config.load_kube_config(named, context, client_configuration=settings, persist_config=False)
        except (AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
            raise PluginError(f"{named} is no valid kubeconfig.") from error
        except (ConfigException, OSError) as error:
            raise PluginError(
                f"No cluster to talk to: {str(error).rstrip('.')}. Name a kubeconfig with --kubeconfig or KUBECONFIG."
            ) from error
        return cls(settings, namespace or own)

    def find(self, word: str) -> Job:
        """Return the job that a NAME of the command line means.

        Raises:
            PluginError: There is none, or one of each kind.
        """
        kinds, name = parse_name(word)
        found = [job for resource in kinds if (job := self.job(resource, name)) is not None]
        if not found:
            raise not_found(word, self.namespace)
        if len(found) > 1:
            choice = " or ".join(refer(resource, name) for resource in kinds)
            raise PluginError(f"{name!r} is the name of {len(found)} jobs: say {choice}.")
        return found[0]

    def job(self, resource: Resource, name: str) -> Job | None:
        """Return a job, or None when there is none of that name."""
        try:
            return read({"kind": resource.kind, **self.get(resource.plural, name)})
        except ClusterError as error:
            if error.status != 404 or isinstance(error, NotInstalledError):
                raise
            return None

    def get(self, plural: str, name: str) -> Json:
        """Return one object."""
        return self._json("GET", self._path(plural, name))

    def items(self, plural: str, **query: str) -> tuple[list[Json], str]:
        """Return all objects that a query finds, and the resourceVersion to watch from."""
        found: list[Json] = []
        page: dict[str, str] = {}
        while True:
            answer = self._json("GET", self._path(plural), {"limit": str(_PAGE), **query, **page})
            found += answer["items"]
            if not (more := answer["metadata"].get("continue")):
                return found, answer["metadata"]["resourceVersion"]
            page = {"continue": more}

    def create(self, plural: str, body: Json) -> Json:
        """Create an object; ClusterError 409 when the name is taken."""
        return self._json("POST", self._path(plural), body=body)

    def patch(self, plural: str, name: str, body: Json) -> Json:
        """Merge a change into an object."""
        return self._json("PATCH", self._path(plural, name), body=body)

    def watch(self, plural: str, version: str, seconds: int, **query: str) -> Iterator[Json]:
        """Yield watch events until the server ends the watch, or `seconds` have passed.

        Raises:
            ClusterError: 410 when the version is too old: list again.
        """
        parameters = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds), **query}
        response = self._open("GET", self._path(plural), parameters, read_seconds=seconds + _READ_SECONDS)
        for line in _lines(response, self.server):
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise ClusterError(event["object"].get("code", 0), event["object"].get("message", "watch failed"))
            yield event

    def log(self, pod: str, *, follow: bool) -> Iterator[str]:
        """Yield the lines of a pod's log; with `follow` until its container ends."""
        query = {"follow": "true"} if follow else {}
        path = f"{self._path(PODS, pod)}/log"
        response = self._open("GET", path, query, read_seconds=None if follow else _READ_SECONDS)
        for line in _lines(response, self.server):
            yield line.decode(errors="replace")

    def _path(self, plural: str, name: str = "") -> str:
        group = "/api/v1" if plural in _CORE else f"/apis/{GROUP}/{VERSION}"
        return f"{group}/namespaces/{self.namespace}/{plural}" + (f"/{quote(name, safe='')}" if name else "")

    def _json(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Json | None = None) -> Json:
        response = self._open(method, path, query, body)
        try:
            answer: Json = json.loads(response.read())
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise ClusterError(0, f"The API server at {self.server} broke off its answer.") from error
        return answer

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        read_seconds: float | None = _READ_SECONDS,
    ) -> RESTResponse:
        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        target = path + (f"?{urlencode(query)}" if query else "")
        try:
            request = self._api.param_serialize(
                method, target, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response = self._api.call_api(*request, _request_timeout=(_CONNECT_SECONDS, read_seconds))
        except (urllib3.exceptions.HTTPError, ApiException, ConfigException, OSError) as error:
            raise ClusterError(0, f"The API server at {self.server} does not answer: {_cause(error)}.") from error
        if response.status >= 300:
            raise self._refused(method, path, response)
        return response

    def _refused(self, method: str, path: str, response: RESTResponse) -> ClusterError:
        text = response.read().decode(errors="replace")
        try:
            status = json.loads(text)
            said, of_api = str(status.get("message", text)), status.get("kind") == "Status"
        except (ValueError, AttributeError):
            said, of_api = text.strip(), False
        if response.status == 401:
            said = f"The API server at {self.server} does not know these credentials; log in to the cluster again."
        elif response.status == 403:
            said = f"You may not do this: {said}. Ask your cluster's admin; docs/kubectl.md lists the rights it takes."
        elif response.status == 404 and (not of_api or "could not find the requested resource" in said):
            said = f"The cluster at {self.server} has no {path}: are Rekindle's CustomResourceDefinitions installed?"
            return NotInstalledError(404, said)
        return ClusterError(response.status, said or f"{method} {path}: HTTP {response.status}")


def _lines(response: RESTResponse, server: str) -> Iterator[bytes]:
    """Yield the lines of an answer that is still being written."""
    rest = b""
    try:
        for chunk in response.response.stream(amt=None, decode_content=False):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line for line in whole if line)
        if rest:
            yield rest
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(0, f"The API server at {server} broke off its answer: {_cause(error)}.") from error
    finally:
        response.response.close()


def _namespace_of_context(kubeconfig: str, context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts(kubeconfig)
    chosen = next((each for each in contexts if each["name"] == context), None) if context else active
    if chosen is None:
        raise ConfigException(f"the kubeconfig has no context {context!r}")
    return str(chosen["context"].get("namespace") or "default")


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a failed connection, in few words."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    if isinstance(error.__cause__, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error.__cause__, OSError) and error.__cause__.strerror:
        return error.__cause__.strerror.lower()
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "it took too long"
    return str(reason or error).replace("\n", " ")
