"""What a command answers: records and tables, printed for people or as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

Value = object
_NOTHING = "-"


class RefusedError(Exception):
    """What was asked for does not exist or cannot be done; the text says why."""


@dataclass(frozen=True)
class Record:
    """One thing, by the names of its parts."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Table:
    """Things of one kind; each row has a value for each column."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Sheets(Table):
    """Things of one kind with too much of each to stand in a line."""


@dataclass(frozen=True)
class Answer:
    """What is printed, and the exit status of the command."""

    parts: Sequence[Record | Table]
    status: int = 0

    def as_json(self) -> str:
        """Return one JSON object: a member for each part, tables as lists of objects."""
        return json.dumps({part.name: _plain(part) for part in self.parts}, default=_wire, indent=2)

    def as_text(self) -> str:
        """Return each part under its name, in columns."""
        return "\n\n".join(f"{part.name[:1].upper()}{part.name[1:]}\n{_lines(part)}" for part in self.parts)


def _plain(part: Record | Table) -> object:
    if isinstance(part, Record):
        return dict(part.values)
    return [dict(zip(part.columns, row, strict=True)) for row in part.rows]


def _lines(part: Record | Table) -> str:
    if isinstance(part, Record):
        return _aligned([[f"  {name}", _shown(value)] for name, value in part.values.items()])
    if not part.rows:
        return "  none"
    if isinstance(part, Sheets):
        sheets = (dict(zip(part.columns, row, strict=True)) for row in part.rows)
        return "\n\n".join(_lines(Record(part.name, values)) for values in sheets)
    heading = [f"  {part.columns[0]}", *part.columns[1:]]
    return _aligned([heading, *([f"  {_shown(row[0])}", *map(_shown, row[1:])] for row in part.rows)])


def _aligned(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def _shown(value: Value) -> str:
    if value is None or value == "":
        return _NOTHING
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    # What others wrote, such as an error of a provider, must not steer the terminal.
    return "".join(character if character.isprintable() else " " for character in str(value))


def _wire(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
