"""What an upload costs beyond a bare PUT to S3, in time and in memory."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import httpx
import psutil
from tests.bench.figures import Figure
from tests.bench.running import photo_of, running_stack, signed_in, upload

from rekindle_dev.stack import Stack

_SIDE = 2582  # 20 MB at 3 bytes a pixel
_REPEAT = 7
_PARALLEL = 20


def figures() -> Iterator[Figure]:
    """Measure the transfer of 20 MB against a bare PUT, and the growth of memory under 20 uploads at once."""
    with running_stack() as stack, signed_in(stack) as client:
        yield from _transfer(stack, client)
        yield _memory(stack, client)


def _transfer(stack: Stack, client: httpx.Client) -> Iterator[Figure]:
    s3, bucket = stack.object_store.client(), stack.object_store.bucket
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
        "at least 0.6x",
        value >= 0.6 * baseline,
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


def _memory(stack: Stack, client: httpx.Client) -> Figure:
    photos = [photo_of(_SIDE, 1000 + number) for number in range(_PARALLEL)]
    process = psutil.Process(stack.api.pid)
    before, peak, done = process.memory_info().rss, 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda photo: upload(client, photo), photos))
    finally:
        done.set()
        sampler.join()
    growth = (peak - before) / 1e6
    return Figure(
        "20 parallel uploads of 20 MB, growth of the API's memory",
        growth,
        "MB",
        before / 1e6,
        "before",
        "under 150 MB",
        growth < 150,
    )
