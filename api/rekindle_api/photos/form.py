"""Reads the file out of a multipart/form-data body as it arrives; nothing is gathered in memory."""

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from rekindle_api.photos.errors import (
    MalformedUploadError,
    MissingFileError,
    UploadAbortedError,
    UploadStalledError,
    UploadTooLargeError,
)

FILE_PART = b"file"
_FORM_OVERHEAD_BYTES = 65_536
_IDLE_SECONDS = 30.0
_LEAST_BYTES_A_SECOND = 1024
UPLOAD_SECONDS = 1800.0
"""Longest time that one upload may take; what is older and unfinished was abandoned."""
_DRAINED_BYTES = 64 * 1024 * 1024
_DRAINED_SECONDS = 20.0


class UploadForm:
    """The body of one upload request."""

    def __init__(self, request: Request, max_file_bytes: int) -> None:
        """Look at the headers.

        Raises:
            MalformedUploadError: it is not multipart/form-data, or its boundary is no good.
        """
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise MalformedUploadError("Send the photo as multipart/form-data with one part named `file`.")
        self._stream = request.stream().__aiter__()
        self._max_file_bytes = max_file_bytes
        self._declared = int(length) if (length := request.headers.get("content-length", "")).isdigit() else 0
        self._collector = _FileCollector()
        try:
            self._parser = MultipartParser(boundary, self._collector.callbacks())  # type: ignore[arg-type] # a TypedDict
        except FormParserError as error:
            raise MalformedUploadError("The boundary of the form is refused.") from error
        self._ended = False
        self._deadline = time.monotonic() + UPLOAD_SECONDS
        self._patience = _IDLE_SECONDS

    @property
    def least_file_bytes(self) -> int:
        """How large the file is at least, as far as the declared length of the body tells."""
        return max(1, self._declared - _FORM_OVERHEAD_BYTES)

    async def file(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the part named `file`.

        Raises:
            UploadTooLargeError: the body is larger than a file of the allowed size can make it.
            MalformedUploadError: the body is not a form, or ends too early.
            MissingFileError: it has no such part, or an empty one.
            UploadStalledError: nothing came for half a minute, too little for longer, or it took half an hour in all.
            UploadAbortedError: the client left.
        """
        limit = self._max_file_bytes + _FORM_OVERHEAD_BYTES
        if self._declared > limit:
            raise UploadTooLargeError(self._max_file_bytes)
        received = 0
        while (chunk := await self._next_chunk()) is not None:
            received += len(chunk)
            if received > limit:
                raise UploadTooLargeError(self._max_file_bytes)
            for piece in self._parse(chunk):
                yield piece
        if not self._collector.complete:
            raise MalformedUploadError("The upload ends before the form does.")
        if not self._collector.found_bytes:
            raise MissingFileError("The form has no part named `file`, or it is empty.")

    async def drain(self) -> None:
        """Read and drop what still comes, within bounds: many clients read a reply only after they sent everything."""
        dropped = 0
        try:
            async with asyncio.timeout(_DRAINED_SECONDS):
                while dropped < _DRAINED_BYTES and (chunk := await self._next_chunk()) is not None:
                    dropped += len(chunk)
        except (TimeoutError, UploadStalledError, UploadAbortedError):
            return

    async def _next_chunk(self) -> bytes | None:
        if self._ended:
            return None
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(self._patience, self._deadline - began)):
                chunk = await anext(self._stream)
        except ClientDisconnect:
            self._ended = True
            raise UploadAbortedError("The upload was broken off.") from None
        except StopAsyncIteration:
            self._ended = True
            return None
        except TimeoutError:
            self._ended = True
            raise UploadStalledError("The upload took too long: hardly anything arrived for half a minute.") from None
        # Waiting uses patience up, and bytes give it back: a trickle ends like silence. A slow S3 costs nobody any.
        left = self._patience - (time.monotonic() - began)
        self._patience = min(_IDLE_SECONDS, left + len(chunk) / _LEAST_BYTES_A_SECOND)
        return chunk

    def _parse(self, chunk: bytes) -> list[bytes]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedUploadError("The form cannot be parsed.") from error
        return self._collector.take()


class _FileCollector:
    """Gets the parser's callbacks, and keeps the bytes of the first part named `file` until they are taken."""

    def __init__(self) -> None:
        self.complete = False
        self.found_bytes = False
        self._pieces: list[bytes] = []
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._in_file = False
        self._had_file = False

    def callbacks(self) -> dict[str, object]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def take(self) -> list[bytes]:
        """Return the bytes that came since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _part_begin(self) -> None:
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._in_file = options.get(b"name") == FILE_PART and not self._had_file

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file and end > start:
            self.found_bytes = True
            self._pieces.append(data[start:end])

    def _part_end(self) -> None:
        self._had_file = self._had_file or self._in_file
        self._in_file = False

    def _end(self) -> None:
        self.complete = True
