"""A photo's bytes on disk while it is inspected: in a file without a name, so a process that dies leaves nothing."""

import hashlib
import tempfile
from types import TracebackType
from typing import Self

from rekindle_api.photos.formats import SNIFFED_BYTES, ImageKind, sniff


class Spool:
    """The bytes that came so far, with their number and their digest."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._digest = hashlib.sha256()
        self._head = b""
        self.size = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the bytes."""
        self._file.close()

    @property
    def sha256(self) -> bytes:
        """Digest of what was written so far."""
        return self._digest.digest()

    @property
    def kind(self) -> ImageKind | None:
        """The format that the first bytes announce."""
        return sniff(self._head)

    @property
    def fileno(self) -> int:
        """The file, for a reader in another thread or process."""
        self._file.flush()
        return self._file.fileno()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(chunk)
        self._file.write(chunk)
        if len(self._head) < SNIFFED_BYTES:
            self._head += chunk[: SNIFFED_BYTES - len(self._head)]
        self.size += len(chunk)
