"""Who may call the API server, and with what: the users of its token file and a kubeconfig for each. Pure."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ADMINISTRATOR = "admin"


@dataclass(frozen=True)
class User:
    """A user that the API server knows by a bearer token."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def token_file(users: Mapping[str, User]) -> str:
    """Return the lines of the API server's token file."""
    return "".join(f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n' for user in users.values())


def kubeconfig(server: str, authority: bytes, user: User, namespace: str) -> dict[str, Any]:
    """Return the kubeconfig with which `user` calls `server`.

    Args:
        server: URL of the API server.
        authority: the certificate that the server's is signed with, PEM.
        user: who calls.
        namespace: which one a command means that names none.
    """
    certificate = base64.b64encode(authority).decode()
    context = {"cluster": "rekindle", "user": user.name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rekindle",
        "clusters": [{"name": "rekindle", "cluster": {"server": server, "certificate-authority-data": certificate}}],
        "users": [{"name": user.name, "user": {"token": user.token}}],
        "contexts": [{"name": "rekindle", "context": context}],
    }
