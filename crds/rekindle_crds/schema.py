"""From a pydantic model to the structural OpenAPI v3 schema that a CustomResourceDefinition takes."""

from typing import Any

from pydantic import BaseModel

_DROPPED = ("title", "const", "additionalProperties")
_BOUNDS = {"minLength", "maxLength", "pattern", "minimum", "maximum", "enum", "format"}
_ORDER = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "x-",
    "required",
    "properties",
    "items",
    "additionalProperties",
)
_INT32_MAX = 2**31 - 1


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of `model`: references inlined, optional fields plain, integers sized, every field described.

    Raises:
        ValueError: a field has no description, or is a union that a structural schema cannot express.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _convert(node: dict[str, Any], definitions: dict[str, Any], path: str) -> dict[str, Any]:
    node = _resolve(node, definitions)
    node = _without_null(node, definitions, path)
    out = {key: value for key, value in node.items() if key not in (*_DROPPED, "$defs", "properties", "items")}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "properties" in node and node.get("default") is not None:
        out["default"] = {}  # the defaults of the fields fill it
    elif out.get("default") in (None, "", [], {}):
        out.pop("default", None)
    if node.get("type") == "integer" and "x-kubernetes-int-or-string" not in node:
        out["format"] = "int32" if abs(node.get("maximum", _INT32_MAX + 1)) <= _INT32_MAX else "int64"
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    if "items" in node:
        out["items"] = _undescribed(_convert(node["items"], definitions, f"{path}[]"))
    if "properties" in node:
        out["properties"] = {
            name: _described(_convert(child, definitions, f"{path}.{name}"), f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    elif isinstance(node.get("additionalProperties"), dict):
        values = _undescribed(_convert(node["additionalProperties"], definitions, f"{path}.*"))
        out["additionalProperties"] = values
    return {key: out[key] for key in sorted(out, key=_rank)}


def _rank(key: str) -> int:
    """People read the description first and the children last."""
    return _ORDER.index(key) if key in _ORDER else _ORDER.index("x-")


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Inline a reference; what stands beside it (description, default, extensions) wins over the referenced schema."""
    while "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        rules = target.get("x-kubernetes-validations", []) + beside.get("x-kubernetes-validations", [])
        node = {**target, **beside, **({"x-kubernetes-validations": rules} if rules else {})}
    return node


def _without_null(node: dict[str, Any], definitions: dict[str, Any], path: str) -> dict[str, Any]:
    """An optional field is one that may be absent, never one that is null."""
    if "anyOf" not in node or "x-kubernetes-int-or-string" in node:
        return node
    choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
    if len(choices) != 1:
        raise ValueError(f"{path}: a union of {len(choices)} types is not structural")
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    return {**_resolve(choices[0], definitions), **beside}


def _described(schema: dict[str, Any], path: str) -> dict[str, Any]:
    if not schema.get("description"):
        raise ValueError(f"{path}: has no description")
    return schema


def _undescribed(schema: dict[str, Any]) -> dict[str, Any]:
    """A scalar in a list or map is described by the list or map."""
    if "properties" in schema:
        return schema
    return {key: value for key, value in schema.items() if key in _BOUNDS or key == "type" or key.startswith("x-")} | (
        {"anyOf": schema["anyOf"]} if "anyOf" in schema else {}
    )


def without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema for what only a program writes: what it left out must stay absent."""
    return {
        key: {name: without_defaults(child) for name, child in value.items()}
        if key == "properties"
        else without_defaults(value)
        if key == "items"
        else value
        for key, value in schema.items()
        if key != "default"
    }
