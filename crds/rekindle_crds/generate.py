"""Writes what is generated from the models, in the root of the repository."""

import argparse
import sys
from pathlib import Path

from rekindle_crds.crd import RESOURCES, Resource, manifest
from rekindle_crds.meta import GROUP
from rekindle_crds.reference import pages

_NOTICE = "# Generated from rekindle_crds by `make generate`: edit the models.\n"
_CHART = Path("charts/rekindle-crds/templates")
# Helm leaves the definitions where they are when the release goes: with one, every object of its kind would go.
_CHART_METADATA = """\
  annotations:
    helm.sh/resource-policy: keep
  labels:
    {{- include "rekindle-crds.labels" . | nindent 4 }}
"""


def generated_files() -> dict[Path, str]:
    """Return every generated file by its path relative to the root of the repository."""
    definitions = {resource: _yaml(resource) for resource in RESOURCES}
    return (
        {Path("crds") / f"{GROUP}_{resource.plural}.yaml": _NOTICE + text for resource, text in definitions.items()}
        | {_CHART / f"{resource.plural}.yaml": _NOTICE + _template(text) for resource, text in definitions.items()}
        | {Path("docs/reference") / name: text for name, text in pages().items()}
    )


def _yaml(resource: Resource) -> str:
    import yaml  # noqa: PLC0415  # only this command writes YAML; the rooms that import the contract do not need it

    return str(yaml.safe_dump(manifest(resource), sort_keys=False, width=120, allow_unicode=True))


def _template(definition: str) -> str:
    """Return a definition as a template of the chart: with labels, and with nothing else that Helm would fill in."""
    literal = definition.replace("{{", '{{ "{{" }}')
    return literal.replace("\nspec:\n", f"\n{_CHART_METADATA}spec:\n", 1)


def main() -> int:
    """Write the generated files; with --check only say which are out of date, and exit with 1 if any is."""
    parser = argparse.ArgumentParser(prog="python -m rekindle_crds.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is out of date")
    check = parser.parse_args().check
    files = generated_files()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            print(f"{path} is out of date: run `make generate`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
            print(f"wrote {path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
