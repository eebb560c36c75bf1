"""What an upload costs beyond a bare PUT to S3, in time and in memory."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from statistics import median

import httpx
import psutil
from tests.bench.figures import Figure
from tests.bench.running import WebServer, photo_of, running_server, signed_in, upload

_SIDE = 2582  # 20 MB at 3 bytes a pixel
_REPEAT = 7
_PARALLEL = 100
_USERS = 25
"""Each has room for a part of the photos only, and may send a few of them at once."""


def figures() -> Iterator[Figure]:
    """Measure the transfer of 20 MB against a bare PUT, and the growth of memory under 100 uploads at once."""
    with running_server() as server:
        with signed_in(server) as client:
            yield from _transfer(server, client)
        with ExitStack() as users:
            yield _memory(server, [users.enter_context(signed_in(server)) for _ in range(_USERS)])


def _transfer(server: WebServer, client: httpx.Client) -> Iterator[Figure]:
    s3, bucket = server.object_store.client(), server.object_store.bucket
    direct, through, inspecting = [], [], []
    for number in range(_REPEAT + 1):
        photo = photo_of(_SIDE, number)
        start = time.perf_counter()
        s3.put_object(Bucket=bucket, Key=f"bench/{number}", Body=photo)
        direct.append(time.perf_counter() - start)
        start = time.perf_counter()
        answer = upload(client, photo)
        spent = time.perf_counter() - start
        inspecting.append(_inspection_seconds(answer))
        through.append(spent - inspecting[-1])
    megabytes = len(photo_of(_SIDE, 0)) / 1e6
    # The first of each is a warm-up.
    value, baseline = megabytes / median(through[1:]), megabytes / median(direct[1:])
    yield Figure(
        "upload 20 MB through the API, transfer",
        value,
        "MB/s",
        baseline,
        "S3 PUT",
        "at least 0.8x",
        value >= 0.8 * baseline,
    )
    seconds = median(inspecting[1:])
    yield Figure(
        "upload 20 MB, inspection (decode and thumbnail)",
        seconds,
        "s",
        median(direct[1:]),
        "S3 PUT",
        "measured apart",
        holds=True,
    )


def _inspection_seconds(answer: httpx.Response) -> float:
    found = re.search(r"inspect;dur=([0-9.]+)", answer.headers.get("Server-Timing", ""))
    if found is None:
        raise RuntimeError("the reply to an upload has no Server-Timing header with the time of the inspection")
    return float(found[1]) / 1000


def _memory(server: WebServer, clients: list[httpx.Client]) -> Figure:
    photos = [photo_of(_SIDE, 1000 + number) for number in range(_PARALLEL)]
    process = psutil.Process(server.api.pid)
    before, peak, done = _memory_of(process), 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, _memory_of(process))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda numbered: upload(clients[numbered[0] % _USERS], numbered[1]), enumerate(photos)))
    finally:
        done.set()
        sampler.join()
    growth = (peak - before) / 1e6
    return Figure(
        "100 parallel uploads of 20 MB, growth of memory with decoders",
        growth,
        "MB",
        before / 1e6,
        "before",
        "under 200 MB",
        growth < 200,
    )


def _memory_of(process: psutil.Process) -> int:
    """Return what the web server and the decoders that it runs hold, in bytes; what they share counts once."""
    held, command = process.memory_full_info().pss, process.cmdline()
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            # One that has not begun its own program yet lives in its parent's memory, which is counted already.
            if child.cmdline() != command:
                held += child.memory_full_info().pss
    return held
