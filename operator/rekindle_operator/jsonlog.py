"""Log lines as JSON objects, one a line, with the names of the job that they are about."""

import json
import logging
import sys
from datetime import UTC, datetime

_RENAMED = {"job": "name"}
"""Extra fields whose names a log record keeps for itself."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


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
            **{_RENAMED.get(name, name): value for name, value in record.__dict__.items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _wanted(record: logging.LogRecord) -> bool:
    """Kopf warns that its thread handles no signals; the process does."""
    return not record.getMessage().startswith("OS signals are ignored")


def configure(level: str) -> None:
    """Send all log lines to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_wanted)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    logging.getLogger("asyncio").setLevel("WARNING")
