"""Writes docs/reference/settings.md and api.md from the classes and routes: `python -m rekindle_api.reference`."""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rekindle_api import settings
from rekindle_api.application import WebSettings, create_app
from rekindle_api.bridge.settings import BridgeSettings, SweepSettings
from rekindle_api.settings import DomainSettings

FOLDER = Path("docs/reference")
_SETTINGS = """# Settings of the API

Generated from the settings classes by `make generate`: edit them. Every setting is an environment variable; an empty
one counts as not set. A command reads only what it needs, and refuses to start with a line for each variable that is
missing or wrong. `ENVIRONMENT` is `development` (the default), `staging` or `production`; production is strict: https,
TLS to the database, no weak or missing secrets.
"""
_CALLS = """# Calls of the API

Generated from the routes by `make generate`: edit them. The same, with every field and with examples, is served at
`/docs` and `/openapi.json`. Errors are problem+json; the codes below are those that a call can answer with beside the
common ones at the end of the page.
"""
_NOWHERE = {"database_url": "postgresql://nobody@localhost/nothing", "s3_bucket": "bucket", "supabase_url": "http://x"}
_CODE = re.compile(r"^- `(\w+)`: (.*)$", re.MULTILINE)
_COMMON_FROM = 0.5
"""A code of more than this share of the calls is told once for all of them."""


def pages() -> dict[str, str]:
    """Return each page as Markdown, by its file name."""
    return {"settings.md": _settings_page(), "api.md": _calls_page()}


def _settings_page() -> str:
    return "\n".join([_SETTINGS, *(_section(kind) for kind in _classes())])


def _classes() -> Iterable[type[DomainSettings]]:
    named = (getattr(settings, name) for name in settings.__all__)
    kinds = [kind for kind in named if isinstance(kind, type) and issubclass(kind, DomainSettings)]
    return [*(kind for kind in kinds if kind is not DomainSettings), BridgeSettings, SweepSettings]


def _section(kind: type[DomainSettings]) -> str:
    own = {name: field for name, field in kind.model_fields.items() if name != "environment"}
    lines = [
        f"## {kind.__name__.removesuffix('Settings')}",
        "",
        " ".join((kind.__doc__ or "").split()),
        "",
        "| Variable | Default | |",
        "|---|---|---|",
        *(
            f"| {_variables(name, field)} | {_default(field)} | {_cell(field.description)} |"
            for name, field in own.items()
        ),
        "",
    ]
    return "\n".join(lines)


def _variables(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
    return " or ".join(f"`{str(one).upper()}`" for one in names)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or isinstance(value, SecretStr) or value in ((), "", {}):
        return ""
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, BaseModel):
        differing = value.model_dump(exclude_defaults=True)
        return value.model_dump_json(include=set(differing) or None)
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}": {_plain(one)}' for name, one in value.items()) + "}"
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def _calls_page() -> str:
    document = create_app(WebSettings.read(_NOWHERE)).openapi()
    calls = [(method, path, call) for path, item in document["paths"].items() for method, call in item.items()]
    texts: dict[str, str] = {}
    counts: dict[str, int] = {}
    for _, _, call in calls:
        found = _codes(call)
        texts |= found
        counts |= {code: counts.get(code, 0) + 1 for code in found}
    common = {code for code, count in counts.items() if count > _COMMON_FROM * len(calls)}
    lines = [_CALLS]
    for tag in document["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", _cell(tag["description"]), ""]
        lines += ["| Call | | Answers | Codes of its own |", "|---|---|---|---|"]
        lines += [_call(one, common) for one in calls if one[2]["tags"][0] == tag["name"]]
        lines.append("")
    lines += ["## Codes", "", "| Code | |", "|---|---|"]
    lines += [f"| `{code}`{' (common)' if code in common else ''} | {_cell(texts[code])} |" for code in sorted(texts)]
    return "\n".join(lines) + "\n"


def _call(call: tuple[str, str, dict[str, Any]], common: set[str]) -> str:
    method, path, what = call
    answers = ", ".join(status for status in what["responses"] if status < "400")
    own = ", ".join(f"`{code}`" for code in _codes(what) if code not in common)
    return f"| `{method.upper()} {path}` | {_cell(what['summary'])} | {answers} | {own} |"


def _codes(call: dict[str, Any]) -> dict[str, str]:
    refusals = [answer["description"] for status, answer in call["responses"].items() if status >= "400"]
    return {
        code: text for refusal in refusals for code, text in re.findall(r"^- `(\w+)`: (.*)$", refusal, re.MULTILINE)
    }


def main() -> int:
    """Write the pages; with --check only say which are out of date, and exit with 1 if any is."""
    parser = argparse.ArgumentParser(prog="python -m rekindle_api.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is out of date")
    check = parser.parse_args().check
    made = {FOLDER / name: text for name, text in pages().items()}
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            sys.stderr.write(f"{path} is out of date: run `make generate`\n")
        else:
            path.write_text(made[path], encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
