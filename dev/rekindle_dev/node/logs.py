"""Container logs: one file per start of a container, in the line format of the Container Runtime Interface.

A line is `<time in nanoseconds, UTC> <stdout or stderr> <F or P> <text>`; P marks a part of a line that is too long.

References:
    https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LONGEST_PART = 16 * 1024  # bytes
_FALLBACK_LINES = 80
_FALLBACK_BYTES = 2048


def timestamp(nanoseconds: int) -> str:
    """Return a Unix time in RFC 3339 with nine decimals."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class LogFile:
    """A log that is being written, and that others may follow until it is closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self._file = path.open("ab", buffering=0)
        self._change = asyncio.Event()

    def append(self, stream: str, parts: list[tuple[bytes, bool]]) -> None:
        """Write parts of lines; each comes with whether its line ends with it."""
        head = f"{timestamp(time.time_ns())} {stream} ".encode()
        self._file.write(b"".join(head + (b"F " if ends else b"P ") + part + b"\n" for part, ends in parts))
        self._wake()

    def close(self) -> None:
        """Nothing more comes."""
        self.closed = True
        self._file.close()
        self._wake()

    async def changed(self) -> None:
        """Wait until something was written, or the log was closed."""
        if not self.closed:
            await self._change.wait()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class LogStream(asyncio.Protocol):
    """One of a container's two output streams on its way into the log."""

    def __init__(self, log: LogFile, name: str) -> None:
        self._log = log
        self._name = name
        self._rest = b""
        self._end = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Write the lines that are complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        parts = [part for line in lines for part in _parts(line)]
        while len(self._rest) > _LONGEST_PART:
            parts.append((self._rest[:_LONGEST_PART], False))
            self._rest = self._rest[_LONGEST_PART:]
        if parts:
            self._log.append(self._name, parts)

    def connection_lost(self, exc: Exception | None) -> None:
        """Write what has no line end."""
        del exc
        if self._rest:
            self._log.append(self._name, [(self._rest, True)])
        self._end.set()

    async def ended(self) -> None:
        """Wait until the stream is at its end and everything is written."""
        await self._end.wait()


@dataclass(frozen=True)
class LogQuery:
    """Which part of a log is wanted, as in the query of a request for logs."""

    follow: bool = False
    tail_lines: int | None = None
    since: int | None = None
    """Unix time in nanoseconds."""
    limit_bytes: int | None = None
    timestamps: bool = False


async def read(path: Path, query: LogQuery, live: LogFile | None) -> AsyncIterator[bytes]:
    """Yield the wanted lines of a log; with `follow`, also the coming ones until the live log is closed."""
    since = timestamp(query.since).encode() if query.since is not None else b""
    left = query.limit_bytes
    continued = False
    with path.open("rb") as file:
        lines: Iterable[bytes] = file if query.tail_lines is None else deque(file, maxlen=query.tail_lines)
        while True:
            for line in lines:
                if line < since:
                    continue
                text = _shown(line, timestamps=query.timestamps and not continued)
                continued = not text.endswith(b"\n")
                if left is not None:
                    text = text[:left]
                    left -= len(text)
                yield text
                if left == 0:
                    return
            # Nothing is awaited between the last read and the wait, so no line slips through.
            lines = file.readlines()
            if lines:
                continue
            if not query.follow or live is None or live.closed:
                return
            await live.changed()
            lines = file.readlines()


def last_words(path: Path) -> bytes:
    """Return the end of a log that stands for a missing termination message: at most 80 lines and 2048 bytes."""
    with path.open("rb") as file:
        lines = deque(file, maxlen=_FALLBACK_LINES)
    return b"".join(_shown(line, timestamps=False) for line in lines)[-_FALLBACK_BYTES:]


def _shown(line: bytes, *, timestamps: bool) -> bytes:
    time_, _, tag, text = line.split(b" ", 3)
    text = text if tag == b"F" else text[:-1]
    return time_ + b" " + text if timestamps else text


def _parts(line: bytes) -> list[tuple[bytes, bool]]:
    starts = range(0, max(len(line), 1), _LONGEST_PART)
    return [(line[i : i + _LONGEST_PART], i + _LONGEST_PART >= len(line)) for i in starts]
