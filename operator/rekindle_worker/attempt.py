"""One attempt at a task, straight through: fetch, decode, do the work of its operation, commit."""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rekindle_crds import ExitCode, Manifest, Provenance, Task
from rekindle_worker import PROGRAM
from rekindle_worker.commit import Submission, committed_manifest
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.decode import Limits, read_photo
from rekindle_worker.photo import Photo
from rekindle_worker.progress import Report
from rekindle_worker.storage import Storage
from rekindle_worker.work import Room, Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What an attempt works with."""

    storage: Storage
    limits: Limits
    threads: int
    scratch: Path
    report: Report
    on_decoded: Callable[[int], None]
    """Called with width times height of the source once it is known."""


def stages_of(work: Work) -> Mapping[str, float]:
    """Return every stage of an attempt with its usual share of the time."""
    return {"fetch": 3.0, "decode": 5.0} | dict(work.stages) | {"store": 4.0}


def attempt(task: Task, work: Work, pod_uid: str, submission: Submission, means: Means) -> Manifest:
    """Do a task and return the manifest that counts: this pod's, or that of a pod that was first.

    Raises:
        WorkFailed: For every reason that the contract has an exit code for.
    """
    earlier = _earlier(means.storage, task)
    if earlier is not None:
        log.info("event=adopted winner=%s", earlier.pod_uid)
        return earlier
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=means.scratch, prefix="photo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        digest = _fetch(task, folder / "source", means)
        photo = _decode(folder / "source", work, means)
        width, height = photo.source_size
        made = work(photo, Room(folder, means.threads, means.report))
        outputs = submission.store(made.files, lambda share: means.report("store", share))
    manifest = Manifest(
        task_digest=task.digest,
        pod_uid=pod_uid,
        created_at=datetime.now(UTC),
        source=task.source,
        source_sha256=digest,
        source_width=width,
        source_height=height,
        outputs=outputs,
        steps=list(made.steps),
        provenance=Provenance(engine=task.engine, image=task.image, version=PROGRAM),
        processing_milliseconds=round((time.monotonic() - started) * 1000),
        warnings=list(made.warnings),
        unfulfilled=list(made.unfulfilled),
    )
    winner = submission.commit(manifest)
    log.info("event=committed pod=%s milliseconds=%d", winner.pod_uid, winner.processing_milliseconds)
    return winner


def _earlier(storage: Storage, task: Task) -> Manifest | None:
    try:
        return committed_manifest(storage, task)
    except WorkFailed as failure:
        # Without the right to list, S3 answers 403 for a key that does not exist; writing will tell.
        if failure.code is ExitCode.OUTPUT_FORBIDDEN:
            return None
        raise


def _fetch(task: Task, target: Path, means: Means) -> str:
    return means.storage.download(
        task.source,
        target,
        most_bytes=means.limits.bytes,
        on_progress=lambda share: means.report("fetch", share),
    )


def _decode(source: Path, work: Work, means: Means) -> Photo:
    means.report("decode", 0.0)
    photo = read_photo(source, means.limits, enough=work.enough)
    source.unlink()
    width, height = photo.source_size
    means.on_decoded(width * height)
    means.report("decode", 1.0)
    return photo
