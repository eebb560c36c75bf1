"""Command-line options for the parameters of an operation, one for each field of the contract's model."""

import argparse
from enum import StrEnum
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_UNITS = ("_seconds",)
"""An option's value tells its unit, so that the name of the option need not."""


def add_parameters(parser: argparse.ArgumentParser, model: type[BaseModel], title: str) -> None:
    """Add an option for each parameter; none has a default here, so that the model's defaults stay the only ones."""
    group = parser.add_argument_group(title)
    for name, field in model.model_fields.items():
        words = f"{field.description} Default: {_spoken(field.default)}.".replace("%", "%%")
        kind = _kind(field)
        form: dict[str, Any] = {"metavar": "TEXT"}
        if issubclass(kind, StrEnum):
            form = {"choices": [member.value for member in kind]}
        elif issubclass(kind, int):
            form = {"type": int, "metavar": "SECONDS" if name.endswith(_UNITS) else "N"}
        group.add_argument(option(name), dest=name, help=words, default=argparse.SUPPRESS, **form)


def given_parameters(arguments: argparse.Namespace, model: type[BaseModel]) -> dict[str, object]:
    """Return the parameters that were given on the command line."""
    return {name: value for name, value in vars(arguments).items() if name in model.model_fields}


def option(name: str) -> str:
    """Return the option for a field."""
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return "--" + name.replace("_", "-")


def _kind(field: FieldInfo) -> type:
    """Return the type of a field's value when there is one."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)] or [field.annotation]
    kind = get_args(kinds[0])[0] if get_args(kinds[0]) else kinds[0]
    return kind if isinstance(kind, type) else str


def _spoken(default: object) -> str:
    return "none" if default is None else str(getattr(default, "value", default))
