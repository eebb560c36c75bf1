"""What every model of the contract is built on: naming, bounded types, object metadata and conditions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

GROUP = "rekindle.dev"
VERSION = "v1alpha1"
ApiVersion = Literal["rekindle.dev/v1alpha1"]
API_VERSION: ApiVersion = "rekindle.dev/v1alpha1"

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

_INT64_MAX = 2**63 - 1


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(_rfc3339, when_used="json")]
"""A moment with the second precision of Kubernetes' metav1.Time."""

ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
"""The name of another object in the same namespace."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
"""A SHA-256 digest in lower-case hexadecimal."""


@dataclass(frozen=True)
class Clipped:
    """Marks text for people, as in Annotated[str, Clipped(200)]: text that is too long is cut, never refused."""

    length: int

    def cut(self, value: object) -> object:
        """Return text of at most `length` characters, the last of them an ellipsis if something is missing."""
        if isinstance(value, str) and len(value) > self.length:
            return f"{value[: self.length - 1]}…"
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        bounded = core_schema.str_schema(max_length=self.length)
        return core_schema.no_info_before_validator_function(self.cut, bounded)


def _fits(number: int) -> int:
    if number > _INT64_MAX:
        raise ValueError("must fit into 64 bits")
    return number


FITS_INT64 = AfterValidator(_fits)
"""Refuses a number that the API server could not store: JSON itself knows no bound."""


def one_of_each(field: str) -> AfterValidator:
    """Return a validator of a list whose elements are named by `field`: the API server takes each name only once."""

    def check(items: list[Any]) -> list[Any]:
        names = [getattr(item, field) for item in items]
        if len(set(names)) < len(names):
            raise ValueError(f"must have each {field} only once")
        return items

    return AfterValidator(check)


def list_map(key: str) -> dict[str, Any]:
    """Return the schema extension of a list whose elements are named by `key`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
LIST_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}


def cel(rule: str, message: str) -> dict[str, Any]:
    """Return one validation rule in the Common Expression Language, with the message that a user sees."""
    return {"rule": rule, "message": message}


def immutable(field: str, kind: str) -> dict[str, Any]:
    """Return the schema extension of a field that never changes."""
    return {"x-kubernetes-validations": [cel("self == oldSelf", f"{field} is immutable; create another {kind}")]}


class Contract(BaseModel):
    """Base of every model: camelCase on the wire, immutable in memory, unknown fields of a newer version ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    def wire(self) -> dict[str, Any]:
        """Return the JSON form that Kubernetes stores: camelCase, without the fields that are not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class OwnerReference(Contract):
    """The object that owns this one; it is deleted together with its owner."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ObjectMeta(Contract):
    """The part of Kubernetes object metadata that Rekindle reads."""

    name: str
    namespace: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []


class Condition(Contract):
    """One observation of the object's state, in the standard form of Kubernetes."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """What is observed: Finished, Succeeded, Ready, Reconciling or Stalled."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds; Unknown while that is not decided yet."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """Why, as one CamelCase word of the documented list of reasons."""
    message: Annotated[str, Clipped(400)] = ""
    """Why, in a sentence for people."""
    last_transition_time: Time
    """When status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this condition was computed from."""
