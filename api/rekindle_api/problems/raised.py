"""Which problems a route may answer with: said beside the code that raises them, read when the API is described."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastapi.dependencies.models import Dependant

from rekindle_api.problems.problem import Problem

_ATTRIBUTE = "__problems__"
F = TypeVar("F", bound=Callable[..., Any])


def raises(*kinds: type[Problem]) -> Callable[[F], F]:
    """Say which problems a route, or a dependency of routes, may raise."""

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, kinds)
        return function

    return mark


def raised_by(dependant: Dependant) -> Iterator[type[Problem]]:
    """Yield what a route says that it may raise, and what its dependencies say."""
    yield from getattr(dependant.call, _ATTRIBUTE, ())
    for below in dependant.dependencies:
        yield from raised_by(below)
