"""The termination message: what the operator learns even when the pod's log is gone."""

import logging
from collections import deque
from pathlib import Path

from rekindle_crds import ExitCode, Result, TerminationMessage
from rekindle_crds.task import MAX_TERMINATION_MESSAGE_BYTES
from rekindle_worker.failure import WorkFailed

_TAIL_LINES = 10
_LINE_CHARACTERS = 200
_MESSAGE_CHARACTERS = 256


class LogTail(logging.Handler):
    """Keeps the last log lines."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(self.format(record).replace("\n", " | ")[:_LINE_CHARACTERS])

    @property
    def lines(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._lines)


def success_message(result: Result) -> TerminationMessage:
    """Return the message of a container that has a result."""
    return TerminationMessage(reason=ExitCode.DONE.reason, result=result)


def failure_message(failure: WorkFailed, tail: LogTail) -> TerminationMessage:
    """Return the message of a container that has none; one that was stopped also leaves its last log lines."""
    stopped = failure.code is ExitCode.TERMINATED
    return TerminationMessage(
        reason=failure.code.reason,
        message=failure.message[:_MESSAGE_CHARACTERS],
        log_tail=tail.lines if stopped else None,
    )


def encode_message(message: TerminationMessage) -> bytes:
    """Return the message as JSON of at most 4096 bytes; what the manifest also holds goes first."""
    data = _json(message)
    for leave_out in (_without_warnings, _without_image, _without_oldest_line):
        while len(data) > MAX_TERMINATION_MESSAGE_BYTES:
            shorter = leave_out(message)
            if shorter is None:
                break
            message = shorter
            data = _json(message)
    return data


def write_message(path: Path | None, message: TerminationMessage) -> None:
    """Write the message where the kubelet reads it; without a path there is nobody to read it."""
    if path is not None:
        path.write_bytes(encode_message(message))


def _json(message: TerminationMessage) -> bytes:
    return message.model_dump_json(by_alias=True, exclude_none=True).encode()


def _without_warnings(message: TerminationMessage) -> TerminationMessage | None:
    if message.result is None or not message.result.warnings:
        return None
    return message.model_copy(update={"result": message.result.model_copy(update={"warnings": []})})


def _without_image(message: TerminationMessage) -> TerminationMessage | None:
    if message.result is None or message.result.provenance.image is None:
        return None
    provenance = message.result.provenance.model_copy(update={"image": None})
    return message.model_copy(update={"result": message.result.model_copy(update={"provenance": provenance})})


def _without_oldest_line(message: TerminationMessage) -> TerminationMessage | None:
    if not message.log_tail:
        return None
    return message.model_copy(update={"log_tail": message.log_tail[1:]})
