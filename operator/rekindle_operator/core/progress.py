"""Reading of a container's log: progress, and the last lines for people."""

from pydantic import ValidationError

from rekindle_crds import ProgressLine
from rekindle_crds.status import MAX_LOG_LINES


def progress_in(log: str) -> ProgressLine | None:
    """Return the last progress line of a log; None when there is none."""
    for line in reversed(log.splitlines()):
        told = _progress(line)
        if told is not None:
            return told
    return None


def tail_of(log: str) -> tuple[str, ...]:
    """Return the last lines of a log that are worth keeping, without the lines of progress."""
    lines = [line.rstrip() for line in log.splitlines()]
    kept = [line for line in lines if line and _progress(line) is None]
    return tuple(kept[-MAX_LOG_LINES:])


def _progress(line: str) -> ProgressLine | None:
    if not line.startswith("{"):
        return None
    try:
        return ProgressLine.model_validate_json(line)
    except ValidationError:
        return None
