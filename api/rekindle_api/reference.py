"""Writes docs/reference/settings.md from the settings classes: `python -m rekindle_api.reference [--check]`."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rekindle_api import settings
from rekindle_api.bridge.settings import BridgeSettings, SweepSettings
from rekindle_api.settings import DomainSettings

PAGE = Path("docs/reference/settings.md")
_INTRODUCTION = """# Settings of the API

Generated from the settings classes by `make generate`: edit them. Every setting is an environment variable; an empty
one counts as not set. A command reads only what it needs, and refuses to start with a line for each variable that is
missing or wrong. `ENVIRONMENT` is `development` (the default), `staging` or `production`; production is strict: https,
TLS to the database, no weak or missing secrets.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(kind) for kind in _classes())])


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
        *(f"| {_variables(name, field)} | {_default(field)} | {_meaning(field)} |" for name, field in own.items()),
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


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Write the page; with --check only say whether it is out of date, and exit with 1 if so."""
    parser = argparse.ArgumentParser(prog="python -m rekindle_api.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the page is out of date")
    text = page()
    if PAGE.is_file() and PAGE.read_text("utf-8") == text:
        return 0
    if parser.parse_args().check:
        sys.stderr.write(f"{PAGE} is out of date: run `make generate`\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
