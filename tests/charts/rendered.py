"""The chart as helm renders it, once for each set of values, and what is asked of it: pods, containers, variables."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rekindle_dev import helm

Json = dict[str, Any]

CHART = Path(__file__).resolve().parents[2] / "charts/rekindle"
NAMESPACE = "photos-of-ann"

FILES: Mapping[str, str] = {
    "defaults": "",
    "dev": "values-dev.yaml",
    "staging": "values-staging.yaml",
    "prod": "values-prod.yaml",
}
"""What an environment begins with."""

OWN: Json = {
    "existingSecret": "rekindle-secrets",
    "s3": {"bucket": "photos-of-ann", "region": "eu-central-1"},
    "supabase": {"url": "https://abcdefgh.supabase.co"},
    "database": {"appRole": "rekindle_service", "rootCert": {"configMap": "rds-ca"}},
    "api": {"corsOrigins": ["https://photos.example.com"]},
    "ingress": {"host": "api.photos.example.com"},
}
"""What every environment but a try-out must be told."""

EVERYTHING: Json = {
    "commonLabels": {"team": "memories"},
    "image": {"registry": "registry.example.com/rekindle", "pullSecrets": ["registry-login"]},
    "s3": {
        "credentialsFromSecret": True,
        "endpointUrl": "https://s3.example.com",
        "publicEndpointUrl": "https://s3.example.com",
    },
    "supabase": {"legacyJwtSecret": True},
    "stripe": {
        "enabled": True,
        "prices": {"remember": "price_1", "cherish": ["price_2", "price_2old"]},
        "topUpPrices": {"small": "price_3"},
        "successUrl": "https://photos.example.com/paid",
        "cancelUrl": "https://photos.example.com/not-paid",
        "returnUrl": "https://photos.example.com/billing",
    },
    "plans": {"free": {"credits": 5, "storage_bytes": 5368709120}},
    "costs": {"animate": 6},
    "topUps": {"small": 12, "large": 120},
    "api": {
        "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9},
        "docs": False,
        "env": {"RATE_UPLOAD": "100/minute", "MAX_UPLOAD_BYTES": 20971520},
        "podAnnotations": {"example.com/scrape": "yes"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "web", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "web",
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/api"}},
    },
    "bridge": {"replicas": 2, "env": {"BRIDGE_ORDERS_AT_ONCE": 4}},
    "operator": {"replicas": 2, "maxRunning": 12, "env": {"REKINDLE_OPERATOR_WORKERS": 8}},
    "ingress": {"enabled": True, "className": "nginx", "host": "api.photos.example.com", "tlsSecret": "api-tls"},
    "engines": {
        "studio": {
            "operations": ["Restore"],
            "image": "registry.example.com/studio:2",
            "serviceAccountName": "studio",
            "resources": {"limits": {"nvidia.com/gpu": 1}},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "env": [{"name": "STUDIO_MODE", "value": "gentle"}],
        }
    },
    "networkPolicies": {
        "enabled": True,
        "apiFrom": [{"kubernetes.io/metadata.name": "ingress-nginx"}],
        "metricsFrom": [{"kubernetes.io/metadata.name": "monitoring"}],
    },
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
    },
    "rbac": {"aggregate": True},
}
"""Every switch that is off at first, on."""

VARIANTS: Mapping[str, tuple[str, Json]] = {
    **{name: (name, {} if name == "dev" else OWN) for name in FILES},
    **{f"{name}, everything on": (name, {}) for name in FILES if name != "dev"},
}
"""What is looked at: each file as a stranger would use it first, and with everything on."""


@dataclass(frozen=True)
class PodTemplate:
    """The pods that one object makes."""

    owner: Json
    metadata: Json
    spec: Json

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the pods."""
        return dict(self.metadata.get("labels", {}))

    @property
    def component(self) -> str:
        """Which part of Rekindle the pods are."""
        return str(self.labels["app.kubernetes.io/component"])

    @property
    def containers(self) -> list[Json]:
        """The containers, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def container(self, name: str) -> Json:
        """Return one container."""
        return next(each for each in self.containers if each["name"] == name)


@dataclass(frozen=True)
class Release:
    """What helm renders for one release."""

    objects: tuple[Json, ...]

    def of(self, *kinds: str) -> list[Json]:
        """Return the objects of some kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str, ending: str) -> Json:
        """Return the one object of a kind whose name ends so."""
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"].endswith(ending))
        return found

    def pods(self) -> Iterator[PodTemplate]:
        """Yield the pods that the release makes, those of `helm test` included."""
        for each in self.objects:
            match each["kind"]:
                case "Deployment" | "StatefulSet" | "Job":
                    template = each["spec"]["template"]
                case "CronJob":
                    template = each["spec"]["jobTemplate"]["spec"]["template"]
                case "Pod":
                    template = each
                case _:
                    continue
            yield PodTemplate(each, template["metadata"], template["spec"])

    def pod(self, component: str) -> PodTemplate:
        """Return the pods of one component."""
        (found,) = (each for each in self.pods() if each.component == component and each.owner["kind"] != "Pod")
        return found

    def environment(self, container: Json, secrets: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that a container starts with; the Secret that it names holds `secrets`."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            maps = (each for each in self.of("ConfigMap") if each["metadata"]["name"] == source["configMapRef"]["name"])
            found |= next(maps)["data"]
        for variable in container.get("env", []):
            found[variable["name"]] = self._value(variable, secrets)
        return found

    @staticmethod
    def _value(variable: Json, secrets: Mapping[str, str]) -> str:
        match variable:
            case {"value": value}:
                return str(value)
            case {"valueFrom": {"secretKeyRef": {"key": key}}}:
                return secrets[key]
            case {"valueFrom": {"fieldRef": {"fieldPath": path}}}:
                return f"the pod's {path}"
            case _:
                raise ValueError(f"unknown source of {variable['name']}")


def render(
    file: str = "", values: Mapping[str, Any] | None = None, *, name: str = "rekindle", namespace: str = NAMESPACE
) -> Release:
    """Render the chart with a values file of its own and further values.

    Raises:
        HelmError: if the chart refuses them.
    """
    return _rendered(FILES.get(file, file), json.dumps(values or {}, sort_keys=True), name, namespace)


def variant(name: str) -> Release:
    """Render one of VARIANTS."""
    return render(*_variant(name))


def values_of(name: str) -> Json:
    """Return the values that one of VARIANTS adds to its file."""
    return _variant(name)[1]


def selects(policy: Json, labels: Mapping[str, str]) -> bool:
    """Tell whether a NetworkPolicy is about pods with these labels."""
    selector = policy["spec"]["podSelector"]
    for each in selector.get("matchExpressions", []):
        present = each["key"] in labels
        match each["operator"]:
            case "Exists":
                fits = present
            case "DoesNotExist":
                fits = not present
            case "In":
                fits = present and labels[each["key"]] in each["values"]
            case _:
                fits = not present or labels[each["key"]] not in each["values"]
        if not fits:
            return False
    return dict(selector.get("matchLabels", {})).items() <= labels.items()


def merged(*layers: Mapping[str, Any]) -> Json:
    """Merge values as helm does: maps are merged, everything else is replaced."""
    result: Json = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result


def _variant(name: str) -> tuple[str, Json]:
    file, values = VARIANTS[name]
    return file, merged(OWN, EVERYTHING) if name.endswith("everything on") else values


@cache
def _rendered(file: str, values: str, name: str, namespace: str) -> Release:
    arguments = [f"--values={CHART / file}"] if file else []
    text = helm.run("template", name, CHART, f"--namespace={namespace}", *arguments, "--values=-", stdin=values)
    return Release(tuple(each for each in yaml.safe_load_all(text) if each))
