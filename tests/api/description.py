"""Holds every reply that tests get to the API's own description: a status or a code that it lacks fails the test."""

import re
from typing import Any

import httpx

_NOT_ROUTED = {"not_found", "method_not_allowed"}


class Described:
    """Checks replies, as a hook of an httpx client."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    async def __call__(self, reply: httpx.Response) -> None:
        """Check one."""
        found = self._operation(reply.request.method, reply.request.url.path)
        if found is None:
            return
        name, operation = found
        described = operation["responses"].get(str(reply.status_code))
        if described is None and reply.headers.get("content-type") == "application/problem+json":
            await reply.aread()
            if reply.json()["code"] in _NOT_ROUTED:
                return
        assert described is not None, f"{name} does not describe {reply.status_code}"
        if reply.status_code >= 400:
            await reply.aread()
            code = reply.json()["code"]
            examples = described["content"]["application/problem+json"]["examples"]
            assert code in examples, f"{name} does not describe {reply.status_code} {code}"

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        paths = self._document["paths"]
        # What has no parameter goes before what has.
        for template in sorted(paths, key=lambda template: template.count("{")):
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
            if re.fullmatch(pattern, path.rstrip("/") or "/") and method.lower() in paths[template]:
                return f"{method} {template}", paths[template][method.lower()]
        return None
