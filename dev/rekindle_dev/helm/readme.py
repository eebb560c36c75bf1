"""Writes the tables of values in the chart's README from the comments of values.yaml that begin with `# --`.

A value in braces is one row. A block without a comment is a row for each value in it; one with a comment is a row
itself, followed by what has comments in it. What stands around the tables is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path("charts/rekindle")
_BEGIN = "<!-- Values, generated from values.yaml by `make generate` -->"
_END = "<!-- End of the values -->"
_LONGEST_DEFAULT = 90


class ReadmeError(RuntimeError):
    """The README has no place for the values. The message says what it needs."""


@dataclass(frozen=True)
class Row:
    """One value: its path, its default as YAML in one line, and what its comment says."""

    path: str
    default: str
    description: str


def rows(text: str) -> Iterator[Row]:
    """Yield the values of a values.yaml in its order."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ReadmeError("values.yaml holds no map")
    yield from _rows(root, "", text, text.splitlines())


def tables(text: str) -> str:
    """Return the values as Markdown: what stands alone first, then a section for each block."""
    sections: dict[str, list[Row]] = {}
    for row in rows(text):
        block, _, inner = row.path.partition(".")
        sections.setdefault(block if inner else "", []).append(row)
    alone = sections.pop("", [])
    parts = [_table(alone), *(f"### {name}\n\n{_table(inner)}" for name, inner in sections.items())]
    return "\n\n".join(parts)


def page(readme: str, values: str) -> str:
    """Return the README with the tables of today's values.

    Raises:
        ReadmeError: if the README has no place for them.
    """
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ReadmeError(f"the README needs the lines {_BEGIN!r} and {_END!r}: the tables stand between them")
    return f"{before}{begin}\n\n{tables(values)}\n\n{end}{after}"


def _rows(block: yaml.MappingNode, prefix: str, text: str, lines: list[str]) -> Iterator[Row]:
    for key, value in block.value:
        path = f"{prefix}{key.value}"
        description = _comment(lines, key.start_mark.line)
        is_block = isinstance(value, yaml.MappingNode) and not value.flow_style
        if description or not is_block:
            yield Row(path, _default(value, text), description)
        if is_block:
            inner = _rows(value, f"{path}.", text, lines)
            yield from (row for row in inner if row.description or not description)


def _comment(lines: list[str], line: int) -> str:
    """Return the comment right above a line, from its `# --` on; nothing if it has none."""
    found: list[str] = []
    for above in reversed(lines[:line]):
        if not (match := re.fullmatch(r"\s*# ?(--)?\s*(.*)", above)):
            return ""
        found.insert(0, match[2])
        if match[1]:
            return " ".join(found)
    return ""


def _default(node: yaml.Node, text: str) -> str:
    source = text[node.start_mark.index : node.end_mark.index]
    return "" if "\n" in source or len(source) > _LONGEST_DEFAULT else source


def _table(of: list[Row]) -> str:
    lines = ["| Value | Default | |", "|---|---|---|"]
    lines += [f"| `{row.path}` | {_code(row.default)} | {_cell(row.description)} |" for row in of]
    return "\n".join(lines)


def _code(default: str) -> str:
    return f"`{_cell(default)}`" if default else "in values.yaml"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the README; with --check only say whether it is out of date, and exit with 1 if it is."""
    parser = argparse.ArgumentParser(prog="python -m rekindle_dev.helm.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the file is out of date")
    check = parser.parse_args().check
    path = CHART / "README.md"
    old = path.read_text("utf-8")
    new = page(old, (CHART / "values.yaml").read_text("utf-8"))
    if new == old:
        return 0
    if check:
        print(f"{path} is out of date: run `make generate`", file=sys.stderr)
        return 1
    path.write_text(new, encoding="utf-8")
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
