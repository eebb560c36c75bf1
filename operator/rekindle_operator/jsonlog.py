"""Log lines as JSON objects, one a line, with the names of the job that they are about."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

_RENAMED = {"job": "name"}
"""Extra fields whose names a log record keeps for itself."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_KOPF_ONLY = frozenset({"settings", "k8s_skip", "k8s_ref"})
"""Extra fields by which Kopf's own loggers talk to its other parts."""


def about(kind: str, namespace: str, name: str, uid: str) -> dict[str, str]:
    """Return the extra fields of every log line about a job."""
    return {"kind": kind, "namespace": namespace, "job": name, "uid": uid}


class JsonFormatter(logging.Formatter):
    """Formats a record and whatever was given in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    fields = {
        _RENAMED.get(name, name): value
        for name, value in record.__dict__.items()
        if name not in _STANDARD and name not in _KOPF_ONLY
    }
    reference = getattr(record, "k8s_ref", None)
    if isinstance(reference, dict):
        fields |= {name: reference[name] for name in ("kind", "namespace", "name", "uid") if reference.get(name)}
    return fields


def _wanted(record: logging.LogRecord) -> bool:
    """Kopf warns that its thread handles no signals; the process does."""
    return not record.getMessage().startswith("OS signals are ignored")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("uncaught exception", exc_info=(kind, error, trace))


def _uncaught_in_thread(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None:
        _uncaught(what.exc_type, what.exc_value, what.exc_traceback)


def configure(level: str) -> None:
    """Send all log lines, warnings of Python and uncaught exceptions to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_wanted)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    logging.getLogger("kopf").setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    logging.getLogger("asyncio").setLevel("WARNING")
