"""Overlapping tiles on several threads: bounded memory for photos of any size, and a checkpoint after each tile."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise

Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: `inner` parts the photo without gap or overlap, `outer` adds the neighbourhood that a filter needs."""

    outer: Window
    inner: Window
    crop: Window
    """Where `inner` lies within `outer`."""


def tile_grid(height: int, width: int, *, size: int, overlap: int) -> list[Tile]:
    """Part a photo into tiles of about `size` pixels a side with `overlap` pixels of context on each side."""
    return [
        Tile(outer=(rows[0], columns[0]), inner=(rows[1], columns[1]), crop=(rows[2], columns[2]))
        for rows in _intervals(height, size, overlap)
        for columns in _intervals(width, size, overlap)
    ]


def _intervals(length: int, size: int, overlap: int) -> list[tuple[slice, slice, slice]]:
    count = max(1, round(length / size))
    edges = [length * index // count for index in range(count + 1)]
    intervals = []
    for start, end in pairwise(edges):
        low, high = max(0, start - overlap), min(length, end + overlap)
        intervals.append((slice(low, high), slice(start, end), slice(start - low, end - low)))
    return intervals


def run_tiles(
    tiles: Sequence[Tile], work: Callable[[Tile], None], *, threads: int, on_progress: Callable[[float], None]
) -> None:
    """Call `work` for every tile on `threads` threads; each call must write only inside its tile's `inner`.

    Args:
        tiles: The tiles.
        work: Effect of one tile.
        threads: How many tiles are in work at once.
        on_progress: Called on this thread with the done share. What it raises ends the work after the tiles in flight.

    Raises:
        Exception: The first exception of `work` or `on_progress`.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="tile") as pool:
        pending: set[Future[None]] = {pool.submit(work, tile) for tile in tiles}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                on_progress(1 - len(pending) / len(tiles))
        finally:
            for future in pending:
                future.cancel()
