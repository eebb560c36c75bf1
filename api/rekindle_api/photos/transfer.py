"""Sends a photo to S3 while it still arrives: from a spool file, in parts, with few of them in memory."""

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rekindle_api.photos.spool import Spool
from rekindle_api.storage import ObjectStorage

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 5 * 1024 * 1024
"""The least size that S3 takes for a part that is not the last."""
_PARTS_UNDER_WAY = 3


class Transfer:
    """One photo on its way into the object `key`.

    A photo that fits in one part is sent only by `commit`; of a larger one the parts go ahead and become an object only
    by `commit`. Without it, whoever made the transfer deletes what was sent, after its end.
    """

    def __init__(self, storage: ObjectStorage, key: str, parts_in_memory: asyncio.Semaphore) -> None:
        self._storage = storage
        self._key = key
        self._parts_in_memory = parts_in_memory
        self._upload_id: str | None = None
        self._sent = 0
        self._parts: list[asyncio.Task[CompletedPartTypeDef]] = []
        self.spool = Spool()
        self.media_type = ""

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the spool file, once nothing reads it any more."""
        with self.spool:
            await asyncio.gather(*self._parts, return_exceptions=True)

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; waits while S3 is slower than the sender."""
        self.spool.write(chunk)
        while self.spool.size - self._sent >= PART_BYTES:
            await self._send(PART_BYTES)

    async def end(self) -> None:
        """Take no more bytes; of a photo in parts, the last one goes ahead."""
        if self._upload_id is not None and self.spool.size > self._sent:
            await self._send(self.spool.size - self._sent)

    async def commit(self) -> None:
        """Make the object, after `end`. It is all there afterwards, or not at all."""
        if self._upload_id is None:
            async with self._parts_in_memory:
                body = os.pread(self.spool.fileno, self.spool.size, 0)
                await self._storage.put(self._key, body, self.media_type, self.spool.sha256)
        else:
            parts = await asyncio.gather(*self._parts)
            await self._storage.finish_parts(self._key, self._upload_id, parts)

    async def _send(self, length: int) -> None:
        if self._upload_id is None:
            self._upload_id = await self._storage.begin_parts(self._key, self.media_type)
        under_way = [part for part in self._parts if not part.done()]
        if len(under_way) >= _PARTS_UNDER_WAY:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for part in self._parts:
            if part.done():
                part.result()
        number, offset = len(self._parts) + 1, self._sent
        self._sent += length
        self._parts.append(asyncio.create_task(self._send_part(self._upload_id, number, offset, length)))

    async def _send_part(self, upload_id: str, number: int, offset: int, length: int) -> "CompletedPartTypeDef":
        async with self._parts_in_memory:
            body = await asyncio.to_thread(os.pread, self.spool.fileno, length, offset)
            return await self._storage.put_part(self._key, upload_id, number, body)
