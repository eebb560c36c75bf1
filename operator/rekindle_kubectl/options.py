"""Options that several commands share, and those that are made from the parameters of the contract's models."""

import argparse
import enum
import re
from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rekindle_kubectl.errors import UsageError

Model = TypeVar("Model", bound=BaseModel)

_PREFIX = "parameter "
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_connection(parser: argparse.ArgumentParser, *, default: object = None) -> None:
    """Add what kubectl's own commands have: which cluster, and which namespace."""
    group = parser.add_argument_group("which cluster")
    group.add_argument("-n", "--namespace", metavar="NAME", default=default, help="default: that of the context")
    group.add_argument("--context", metavar="NAME", default=default, help="context of the kubeconfig")
    group.add_argument("--kubeconfig", metavar="FILE", default=default, help="default: $KUBECONFIG or ~/.kube/config")


def add_parameters(parser: argparse.ArgumentParser, title: str, model: type[BaseModel]) -> None:
    """Add an option for each field of a model; the model's defaults stay the only ones."""
    group = parser.add_argument_group(title)
    for name, field in model.model_fields.items():
        convert, metavar = _reader(field)
        words = f"{' '.join((field.description or '').split())} Default: {_spoken(field.default)}."
        group.add_argument(
            "--" + name.replace("_", "-"),
            dest=_PREFIX + name,
            type=convert,
            metavar=metavar,
            help=words.replace("%", "%%"),
            default=argparse.SUPPRESS,
        )


def parameters(options: argparse.Namespace, model: type[Model]) -> Model:
    """Return the parameters that were given, as the model; what was not given is not set in it.

    Raises:
        UsageError: A value is out of bounds.
    """
    given = {name.removeprefix(_PREFIX): value for name, value in vars(options).items() if name.startswith(_PREFIX)}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{option}: {first['msg']}") from error


def duration(text: str) -> float:
    """Return the seconds that a duration such as 90, 90s, 10m or 1h30m means."""
    parts = re.findall(r"(\d+)([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 10m or 1h30m")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def _reader(field: FieldInfo) -> tuple[Callable[[str], Any], str]:
    """Return how an option's value is read, and how --help shows it."""
    kind, bounds = _plain(field.annotation, list(field.metadata))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _member_of(kind), "{" + ",".join(str(member.value) for member in kind) + "}"
    if kind is int:
        low = next((bound.ge for bound in bounds if hasattr(bound, "ge")), None)
        high = next((bound.le for bound in bounds if hasattr(bound, "le")), None)
        return int, f"{low}-{high}" if low is not None and high is not None else "N"
    return str, "TEXT"


def _plain(annotation: object, bounds: list[Any]) -> tuple[Any, list[Any]]:
    """Take `| None` and Annotated[...] off an annotation; return what is left, and all bounds that were met."""
    if get_origin(annotation) is UnionType or str(get_origin(annotation)) == "typing.Union":
        return _plain(next(part for part in get_args(annotation) if part is not type(None)), bounds)
    metadata = getattr(annotation, "__metadata__", None)
    if metadata is None:
        return annotation, bounds
    flat = [inner for each in metadata for inner in (each.metadata if isinstance(each, FieldInfo) else [each])]
    return _plain(get_args(annotation)[0], [*bounds, *flat])


def _member_of(kind: type[enum.Enum]) -> Callable[[str], enum.Enum]:
    def read(text: str) -> enum.Enum:
        for member in kind:
            if str(member.value).lower() == text.lower():
                return member
        known = ", ".join(str(member.value) for member in kind)
        raise argparse.ArgumentTypeError(f"{text!r} is none of {known}")

    return read


def _spoken(default: object) -> str:
    return "none" if default is None else str(getattr(default, "value", default))
