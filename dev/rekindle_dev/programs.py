"""Our own programs as the stack runs them: commands, environments and health. Pure: addresses in, programs out."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rekindle_dev.processes import Program

NAMESPACE = "rekindle"
CREDENTIALS = "s3-credentials"
WORKER_IMAGE = "rekindle-worker:dev"
WORKER_COMMAND = (sys.executable, "-m", "rekindle_worker")
ENGINE = "classical"
FREE_CREDITS = 5000


@dataclass(frozen=True)
class Addresses:
    """What our programs need to know of the other parts."""

    database_url: str
    kubeconfig: Path
    supabase_url: str
    supabase_service_key: str
    supabase_webhook_secret: str
    bucket: str
    s3: Mapping[str, str]
    """The environment variables of AWS SDKs."""


def migrate(addresses: Addresses) -> Program:
    """Return the program that makes the tables."""
    return Program("rekindle-api migrate", _api("migrate"), {"DATABASE_URL": addresses.database_url})


def api(addresses: Addresses, port: int) -> Program:
    """Return the web server."""
    return Program("rekindle-api serve", _api("serve", "--port", str(port)), _api_environment(addresses))


def bridge(addresses: Addresses, port: int) -> Program:
    """Return the bridge; it serves its health on `port`."""
    return Program(
        "rekindle-api bridge",
        _api("bridge"),
        {**_api_environment(addresses), "KUBECONFIG": str(addresses.kubeconfig), "BRIDGE_PORT": str(port)},
    )


def operator(addresses: Addresses, port: int) -> Program:
    """Return the operator; it serves its health on `port`."""
    return Program(
        "rekindle-operator",
        (sys.executable, "-m", "rekindle_operator", "run"),
        {
            "KUBECONFIG": str(addresses.kubeconfig),
            "REKINDLE_OPERATOR_NAMESPACES": NAMESPACE,
            "REKINDLE_OPERATOR_HOST": "127.0.0.1",
            "REKINDLE_OPERATOR_PORT": str(port),
            # There is only one: after a crash it need not wait for its own Lease to expire.
            "REKINDLE_OPERATOR_IDENTITY": "rekindle-dev",
        },
    )


def secret(s3: Mapping[str, str], namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return the Secret from which pods take their way to S3."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CREDENTIALS, "namespace": namespace},
        "stringData": dict(s3),
    }


def engine(s3: Mapping[str, str], namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return the default Engine: the worker of this checkout."""
    variables = [{"name": name, "valueFrom": {"secretKeyRef": {"name": CREDENTIALS, "key": name}}} for name in s3]
    return {
        "apiVersion": "rekindle.dev/v1alpha1",
        "kind": "Engine",
        "metadata": {"name": ENGINE, "namespace": namespace},
        "spec": {
            "operations": ["Restore", "Animate"],
            "image": WORKER_IMAGE,
            "env": variables,
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}},
            "default": True,
        },
    }


def _api(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "rekindle_api.cli", *arguments)


def _api_environment(addresses: Addresses) -> dict[str, str]:
    return {
        **addresses.s3,
        "DATABASE_URL": addresses.database_url,
        "S3_BUCKET": addresses.bucket,
        "SUPABASE_URL": addresses.supabase_url,
        "SUPABASE_SERVICE_KEY": addresses.supabase_service_key,
        "SUPABASE_WEBHOOK_SECRETS": addresses.supabase_webhook_secret,
        # Whoever tries things out here shall not have to buy credits first.
        "PLANS": json.dumps({"free": {"credits": FREE_CREDITS}}),
        "REKINDLE_NAMESPACE": NAMESPACE,
    }
