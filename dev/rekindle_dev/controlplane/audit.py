"""The API server's audit log: which requests it writes down, and how they are counted.

References:
    https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
"""Verbs of requests that change something."""

# Only the names of what was asked, by whom and with what answer; each request once, when it has been answered.
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True)
class Request:
    """One request that the API server answered."""

    agent: str
    """The User-Agent header."""
    user: str
    verb: str
    """As RBAC calls it: get, list, watch, create, update, patch, delete, deletecollection."""
    group: str
    """API group of the resource; empty for the core's."""
    resource: str
    """With its subresource: `pods/log`; empty when the request was for none."""
    namespace: str
    name: str
    code: int


def write_policy(path: Path) -> Path:
    """Write the policy of the audit log, and return where it is."""
    path.write_text(json.dumps(_POLICY))
    return path


def read(log: Path) -> Iterator[Request]:
    """Yield every request that a log tells of."""
    with log.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield _request(json.loads(line))


def writes(log: Path, agent: str, namespace: str) -> Counter[tuple[str, str]]:
    """Count the writes of one program to one namespace that were accepted, by verb and resource."""
    return Counter(
        (request.verb, request.resource)
        for request in read(log)
        if request.verb in WRITES
        and request.agent.startswith(agent)
        and request.namespace == namespace
        and request.code < 400
    )


def _request(event: dict[str, dict[str, str]]) -> Request:
    reference = event.get("objectRef", {})
    parts = (reference.get("resource", ""), reference.get("subresource", ""))
    return Request(
        agent=str(event.get("userAgent", "")),
        user=event["user"].get("username", ""),
        verb=str(event["verb"]),
        group=reference.get("apiGroup", ""),
        resource="/".join(part for part in parts if part),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=int(event.get("responseStatus", {}).get("code", 0)),
    )
