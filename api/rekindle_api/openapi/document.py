"""Completes the OpenAPI document: what FastAPI reads off the routes, with every error, example and summary."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from rekindle_api.openapi.examples import Examples
from rekindle_api.openapi.texts import DESCRIPTION, TAGS
from rekindle_api.problems import Problem, ProblemBody, raised_by
from rekindle_api.problems.common import BodyTooLargeError, InternalError, InvalidRequestError, UnreadableBodyError

_PROBLEM = "ProblemBody"
_REFERENCE = "#/components/schemas/{model}"
_MEDIA_TYPE = "application/problem+json"
_NO_BODY = frozenset({"GET", "HEAD"})
_TAGGED = {"ETag": {"description": "Names what the reply says.", "schema": {"type": "string"}}}
_UNCHANGED = {
    "description": "The client has this reply already: it sent its ETag as If-None-Match.",
    "headers": _TAGGED,
}


def operation_id(route: APIRoute) -> str:
    """Return the name of an operation: where it is, and what it does."""
    below = route.path_format.removeprefix("/api/").removeprefix("v1/")
    return f"{below.strip('/').split('/')[0] or 'root'}_{route.name}"


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template=_REFERENCE)
    schemas |= problem.pop("$defs", {}) | {_PROBLEM: problem}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    examples = Examples(schemas)
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute) and context.include_in_schema:
            for method in context.methods or ():
                _complete(document["paths"][context.path_format][method.lower()], context, method, examples)
    return document


def _complete(operation: dict[str, Any], route: RouteContext, method: str, examples: Examples) -> None:
    """Give one operation its summary, its errors and its examples."""
    if route.summary is None:
        operation["summary"] = operation.get("description", "").partition("\n")[0].rstrip(".")
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    for status, reply in responses.items():
        for content in reply.get("content", {}).values():
            schema = content.get("schema", {})
            if reply["description"] == "Successful Response":
                reply["description"] = examples.description(schema) or f"Status {status}."
            _give_example(content, examples)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _give_example(content, examples)
    if method == "GET" and "application/json" in responses.get("200", {}).get("content", {}):
        responses["200"]["headers"] = _TAGGED
        responses["304"] = _UNCHANGED
    responses |= _problem_responses({*raised_by(route.dependant), *_common(operation, method)})
    operation["responses"] = dict(sorted(responses.items()))


def _give_example(content: dict[str, Any], examples: Examples) -> None:
    if "schema" in content and "example" not in content and "examples" not in content:
        content["example"] = examples.of(content["schema"])


def _common(operation: dict[str, Any], method: str) -> Iterable[type[Problem]]:
    yield InternalError
    if operation.get("parameters") or "requestBody" in operation:
        yield InvalidRequestError
    if method not in _NO_BODY:
        yield BodyTooLargeError
    if "requestBody" in operation:
        yield UnreadableBodyError


def _problem_responses(kinds: Iterable[type[Problem]]) -> dict[str, Any]:
    by_status: defaultdict[int, dict[str, type[Problem]]] = defaultdict(dict)
    for kind in sorted(kinds, key=lambda kind: kind.code):
        by_status[kind.status][kind.code] = kind
    return {str(status): _problem_response(status, by_code) for status, by_code in by_status.items()}


def _problem_response(status: int, kinds: dict[str, type[Problem]]) -> dict[str, Any]:
    codes = {"properties": {"code": {"type": "string", "enum": list(kinds)}, "status": {"const": status}}}
    return {
        "description": "\n".join(f"- `{code}`: {_sentence(kind)}" for code, kind in kinds.items()),
        "content": {
            _MEDIA_TYPE: {
                "schema": {"allOf": [{"$ref": _REFERENCE.format(model=_PROBLEM)}, codes]},
                "examples": {code: {"summary": kind.title, "value": _example(kind)} for code, kind in kinds.items()},
            }
        },
    }


def _example(kind: type[Problem]) -> dict[str, Any]:
    body = ProblemBody(
        title=kind.title,
        status=kind.status,
        detail=_sentence(kind),
        code=kind.code,
        request_id="9b2f0c4de1a84f7c8d6b5a3e2f10c9d8",
    )
    return body.model_dump(exclude_none=True)


def _sentence(kind: type[Problem]) -> str:
    return (kind.__doc__ or kind.title).strip().partition("\n")[0]
