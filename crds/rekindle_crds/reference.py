"""Reference pages in Markdown, made from the models: fields of each resource, reasons and exit codes."""

from collections.abc import Iterator
from typing import Any

from rekindle_crds.crd import RESOURCES, Resource, manifest
from rekindle_crds.events import ORDINARY, Announcement
from rekindle_crds.exits import ExitCode
from rekindle_crds.reasons import Reason

_NOTICE = "<!-- Generated from crds/rekindle_crds by `make generate`: edit the models. -->\n\n"


def pages() -> dict[str, str]:
    """Return every reference page, by its file name under docs/reference."""
    fields = {f"{resource.kind.lower()}.md": _fields_page(resource) for resource in RESOURCES}
    return {**fields, "reasons.md": _reasons_page(), "events.md": _events_page(), "exit-codes.md": _exit_codes_page()}


def _fields_page(resource: Resource) -> str:
    definition = manifest(resource)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    short = f" Short name: `{resource.short_names[0]}`." if resource.short_names else ""
    lines = [
        f"# {resource.kind}\n",
        f"{schema['description']}\n",
        f"`kubectl get {resource.plural}`, `kubectl explain {resource.plural}.spec`.{short}\n",
    ]
    for part in ("spec", "status"):
        lines += [f"## {part}\n", "| Field | Type | Meaning |", "|---|---|---|"]
        lines += [f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _rows(schema["properties"][part], "")]
        rules = schema["properties"][part].get("x-kubernetes-validations", [])
        if rules:
            lines += ["", "Rules:", ""] + [f"- {rule['message']}" for rule in rules]
        lines.append("")
    return _NOTICE + "\n".join(lines).rstrip() + "\n"


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", [])
    for name, child in schema["properties"].items():
        path = f"{prefix}{name}"
        meaning = child["description"] + (" **Required.**" if name in required else "") + _default(child)
        yield path, _type(child), meaning.replace("|", "\\|")
        inner = child.get("items", child)
        if "properties" in inner:
            yield from _rows(inner, f"{path}[]." if "items" in child else f"{path}.")


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    return f" Default: `{default}`." if default is not None and not isinstance(default, dict | list) else ""


def _type(schema: dict[str, Any]) -> str:
    if "x-kubernetes-int-or-string" in schema:
        return "quantity"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([schema["type"], *bounds])


def _reasons_page() -> str:
    rows = [f"| `{reason.value}` | {reason.meaning} |" for reason in Reason]
    head = (
        "# Reasons\n\nWhat stands in `status.conditions[].reason`, `status.waiting.reason`, `status.attempts[].reason` "
        "and in Events.\n\n| Reason | Meaning |\n|---|---|\n"
    )
    return _NOTICE + head + "\n".join(rows) + "\n"


def _events_page() -> str:
    rows = [
        f"| {event.severity} | {'the status says' if event.reason is None else f'`{event.reason.value}`'} "
        f"| {event.action} | {event.when} |"
        for event in Announcement
    ]
    quiet = ", ".join(f"`{reason.value}`" for reason in Reason if reason in ORDINARY)
    head = (
        "# Events\n\nWhat the operator (`reportingController: rekindle.dev/operator`) posts about a job: one Event for "
        "each transition, and the same is not said twice. Events are for people; programs read the conditions. What "
        "each reason means stands in [reasons.md](reasons.md).\n\n| Type | Reason | Action | When |\n"
        "|---|---|---|---|\n"
    )
    return _NOTICE + head + "\n".join(rows) + f"\n\nNo Event of its own has a wait for {quiet}.\n"


def _exit_codes_page() -> str:
    rows = [f"| {code.value} | `{code.reason.value}` | {code.reason.meaning} |" for code in ExitCode]
    head = (
        "# Exit codes of an engine\n\n0 is done; 10 to 19 is the input's fault and never retried; 20 to 29 is "
        "transient and retried; every other code is a bug of the engine and retried.\n\n"
        "| Code | Reason | Meaning |\n|---|---|---|\n"
    )
    return _NOTICE + head + "\n".join(rows) + "\n"
