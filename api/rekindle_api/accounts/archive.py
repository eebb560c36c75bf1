"""A ZIP archive that is sent while it is written: only what was not taken yet is in memory, and nothing on disk."""

import json
import zipfile
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from datetime import datetime
from typing import Any

_EARLIEST = 1980
"""The first year that a ZIP archive can tell."""


class StreamedArchive:
    """The archive. Each method yields what can be sent next; `end` must be the last."""

    def __init__(self) -> None:
        self._written = _Written()
        self._archive = zipfile.ZipFile(self._written, "w")

    async def file(self, name: str, size: int, at: datetime, content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Add a file of `size` bytes, not packed further: photos are."""
        with self._archive.open(_entry(name, at, zipfile.ZIP_STORED, size), "w") as entry:
            async for chunk in content:
                entry.write(chunk)
                yield self._written.take()
        yield self._written.take()

    async def lists(
        self, name: str, at: datetime, parts: Mapping[str, AsyncIterable[Mapping[str, Any]]]
    ) -> AsyncIterator[bytes]:
        """Add a JSON object of lists, whose items are fetched as they are written."""
        with self._archive.open(_entry(name, at, zipfile.ZIP_DEFLATED), "w") as entry:
            opening = "{"
            for part, items in parts.items():
                entry.write(f"{opening}\n  {json.dumps(part)}: [".encode())
                opening, between = ",", ""
                async for item in items:
                    entry.write(f"{between}\n    {json.dumps(item, default=_text, ensure_ascii=False)}".encode())
                    between = ","
                    yield self._written.take()
                entry.write(b"\n  ]")
            entry.write(b"\n}\n")
        yield self._written.take()

    def value(self, name: str, at: datetime, value: object) -> bytes:
        """Add one JSON value, and return what can be sent next."""
        text = json.dumps(value, default=_text, ensure_ascii=False, indent=2) + "\n"
        self._archive.writestr(_entry(name, at, zipfile.ZIP_DEFLATED), text)
        return self._written.take()

    def end(self) -> bytes:
        """Close the archive, and return the rest of it."""
        self._archive.close()
        return self._written.take()


class _Written:
    """Where zipfile writes to. It cannot be rewound, so sizes and checksums follow each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nowhere to flush to."""

    def close(self) -> None:
        """Do nothing: what was written may still be taken."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _entry(name: str, at: datetime, packing: int, size: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (max(at.year, _EARLIEST), at.month, at.day, at.hour, at.minute, at.second))
    entry.compress_type = packing
    entry.external_attr = 0o600 << 16
    # Decides whether sizes are written in 64 bits.
    entry.file_size = size
    return entry


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
