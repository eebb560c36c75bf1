"""A film before it is encoded: pictures by their time, whatever style makes them."""

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from rekindle_worker.animation.frames import Frame


@dataclass(frozen=True, slots=True)
class Film:
    """What a style makes of a photo."""

    width: int
    """Even."""
    height: int
    """Even."""
    picture: Callable[[float], Frame]
    """Returns what is seen at a time from 0 to 1; several threads may call it."""
    facts: Mapping[str, float | int | str | bool]
    """What the style derived; it goes into the record."""
    warnings: tuple[str, ...] = ()

    def pictures(self, times: Sequence[float], threads: int) -> Generator[Frame]:
        """Yield the picture of each time, in order. Threads work ahead; at most `threads` + 1 pictures are held.

        Closing the iterator ends the work after the pictures that are being made.
        """
        with ThreadPoolExecutor(threads, thread_name_prefix="picture") as pool:
            ahead: deque[Future[Frame]] = deque()
            try:
                for time in times:
                    ahead.append(pool.submit(self.picture, time))
                    if len(ahead) > threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()
