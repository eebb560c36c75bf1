"""Examples of bodies, made from their schemas: what a schema gives itself, else a value that fits name and type."""

from collections.abc import Mapping
from typing import Any

_ID = "01975c6e-3f7a-7c21-9d4e-5b8f0a6c2d13"
_PREFIX = f"users/01975c6e-0a11-7b6d-8a3c-94d5e2f7b801/photos/{_ID}"
_SIGNED = "https://s3.example/{key}?X-Amz-Expires=900&X-Amz-Signature=…"

_BY_FORMAT: Mapping[str, Any] = {
    "uuid": _ID,
    "date-time": "2026-05-01T09:30:00Z",
    "date": "2026-05-01",
    "uri": "https://app.example/",
    "email": "ada@example.com",
    "binary": "(the bytes of the photo)",
}

# Names of fields whose meaning is the same wherever they occur.
_BY_NAME: Mapping[str, Any] = {
    "account_status": "active",
    "amount": 999,
    "checksum_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "content_type": "image/jpeg",
    "credits": 25,
    "currency": "usd",
    "description": "Restoration",
    "email": "ada@example.com",
    "environment": "production",
    "expires_in": 900,
    "filename": "grandmother.jpg",
    "first_name": "Ada",
    "full_name": "Ada Lovelace",
    "last_name": "Lovelace",
    "limit": 20,
    "max_size_bytes": 52_428_800,
    "message": "Done.",
    "mime_type": "image/jpeg",
    "model": "classic",
    "original_key": f"{_PREFIX}/original",
    "key": f"{_PREFIX}/upload",
    "pack": "small",
    "percent": 35,
    "preview_s3_key": f"{_PREFIX}/attempts/{_ID}/preview.webp",
    "processed_key": f"{_PREFIX}/attempts/{_ID}/result.jpg",
    "profile_image_url": "https://app.example/ada.jpg",
    "progress": 35,
    "prompt": "Keep the grain of the film.",
    "result_s3_key": f"{_PREFIX}/attempts/{_ID}/result.mp4",
    "s3_key": f"{_PREFIX}/attempts/{_ID}/result.jpg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 2_411_724,
    "stage": "repair",
    "status": "ready",
    "storage_bucket": "photos",
    "storage_bytes": 10_737_418_240,
    "storage_limit_gb": 10,
    "thumb_s3_key": f"{_PREFIX}/attempts/{_ID}/poster.jpg",
    "thumbnail_key": f"{_PREFIX}/thumbnail.webp",
    "thumbnail_s3_key": f"{_PREFIX}/thumbnail.webp",
    "total": 1,
    "type": "restore",
    "userPrompt": "Keep the grain of the film.",
    "version": "0.1.0",
    "warning": "The engine has no model for colour; the photo stays as it was.",
}
# Fields that tell of trouble or of what is rarely there: they are null when they may be.
_NULL = frozenset({"error", "ends_at", "olderHistory", "reason", "selected_restore_id", "sourceResultId"})
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


_ENDLESS: Any = object()
"""Stands for the example of a schema within its own example."""


class Examples:
    """Makes examples from schemas that may refer to the given components."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components = components

    def description(self, schema: Mapping[str, Any]) -> str:
        """Return the first line of what a schema says of itself."""
        if "$ref" in schema:
            schema = self._component(schema["$ref"])
        return str(schema.get("description", "")).partition("\n")[0]

    def of(self, schema: Mapping[str, Any], name: str = "", within: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - JSON
        """Return a value that the schema takes."""
        if (reference := schema.get("$ref")) is not None:
            if reference in within:
                return _ENDLESS
            return self.of(self._component(reference), name, (*within, reference))
        for given in ("example", "const", "default"):
            if schema.get(given) is not None:
                return schema[given]
        for listed in ("examples", "enum"):
            if schema.get(listed):
                return schema[listed][0]
        for union in ("anyOf", "oneOf", "allOf"):
            if union in schema:
                return self._of_union(schema[union], name, within)
        return self._of_type(schema, name, within)

    def _of_union(self, parts: list[Mapping[str, Any]], name: str, within: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON
        something = [part for part in parts if part.get("type") != "null"]
        if name in _NULL and len(something) < len(parts):
            return None
        found = self.of(something[0], name, within)
        return None if found is _ENDLESS and len(something) < len(parts) else found

    def _of_type(self, schema: Mapping[str, Any], name: str, within: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON
        kind = schema.get("type", "object")
        if kind == "object":
            made = {key: self.of(part, key, within) for key, part in schema.get("properties", {}).items()}
            return {key: value for key, value in made.items() if value is not _ENDLESS}
        if kind == "array":
            item = self.of(schema.get("items", {}), name.removesuffix("s"), within)
            return [] if item is _ENDLESS else [item]
        if schema.get("format") in _BY_FORMAT:
            return _BY_FORMAT[schema["format"]]
        if isinstance(_BY_NAME.get(name), _TYPES[kind]):
            return _BY_NAME[name]
        if kind == "string":
            return _SIGNED.format(key=name) if name.endswith("url") else name or "text"
        return kind == "boolean" or schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)

    def _component(self, reference: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._components[reference.rpartition("/")[2]]
        return found
