"""One attempt at a task, straight through: fetch, decode, process, encode, commit."""

import logging
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rekindle_crds import ExitCode, Manifest, Provenance, RestoreParameters, Task
from rekindle_worker import PROGRAM
from rekindle_worker.commit import Submission, committed_manifest
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.decode import Limits, read_photo
from rekindle_worker.imaging.encode import EncodedFile, check_format, write_outputs
from rekindle_worker.pipeline import SHARES, Restored, restore
from rekindle_worker.progress import Report
from rekindle_worker.stages import output_size
from rekindle_worker.storage import Storage

log = logging.getLogger(__name__)

STAGES = {"fetch": 3.0, "decode": 5.0} | SHARES | {"encode": 8.0, "store": 4.0}
"""Every stage with its usual share of the time."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an attempt works with."""

    storage: Storage
    limits: Limits
    threads: int
    scratch: Path
    report: Report


def attempt(task: Task, pod_uid: str, submission: Submission, means: Means) -> Manifest:
    """Do a task and return the manifest that counts: this pod's, or that of a pod that was first.

    Raises:
        WorkFailed: For every reason that the contract has an exit code for.
    """
    earlier = _earlier(means.storage, task)
    if earlier is not None:
        log.info("event=adopted winner=%s", earlier.pod_uid)
        return earlier
    started = time.monotonic()
    parameters = task.restore or RestoreParameters()
    with tempfile.TemporaryDirectory(dir=means.scratch, prefix="photo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        digest = _fetch(task, folder / "source", means)
        restored = _restore(folder / "source", parameters, means)
        means.report("encode", 0.0)
        files = _encode(restored, folder, parameters)
        outputs = submission.store(files, lambda share: means.report("store", share))
    manifest = Manifest(
        task_digest=task.digest,
        pod_uid=pod_uid,
        created_at=datetime.now(UTC),
        source=task.source,
        source_sha256=digest,
        source_width=restored.source_width,
        source_height=restored.source_height,
        outputs=outputs,
        steps=list(restored.steps),
        provenance=Provenance(engine=task.engine, image=task.image, version=PROGRAM),
        processing_milliseconds=round((time.monotonic() - started) * 1000),
        warnings=list(restored.warnings),
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


def _restore(source: Path, parameters: RestoreParameters, means: Means) -> Restored:
    means.report("decode", 0.0)
    photo = read_photo(source, means.limits)
    source.unlink()
    check_format(parameters.format, *output_size(photo.width, photo.height, parameters.max_megapixels))
    means.report("decode", 1.0)
    return restore(photo, parameters, threads=means.threads, report=means.report)


def _encode(restored: Restored, folder: Path, parameters: RestoreParameters) -> list[EncodedFile]:
    return write_outputs(restored.photo, folder, parameters.format, parameters.quality)
