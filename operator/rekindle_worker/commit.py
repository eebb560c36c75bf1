"""The moment at which a result comes into being: manifest.json is created once, by the first pod to finish."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from rekindle_crds import ExitCode, Manifest, Output, Result, Task
from rekindle_crds.task import MANIFEST_NAME
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.encode import EncodedFile
from rekindle_worker.storage import ManifestExistsError, Storage, WriteConflictError

log = logging.getLogger(__name__)

_MOST_MANIFEST_BYTES = 256 * 1024
_CONFLICT_TRIES = 6


def manifest_key(task: Task) -> str:
    """Return the key of the task's manifest."""
    return f"{task.output.prefix}/{MANIFEST_NAME}"


def committed_manifest(storage: Storage, task: Task) -> Manifest | None:
    """Return the manifest that a pod has committed for the same task, or None when there is none.

    Raises:
        WorkFailed: `OutputExists` when the prefix holds the result of another task; storage failures.
    """
    body = storage.read(task.output.bucket, manifest_key(task), _MOST_MANIFEST_BYTES)
    if body is None:
        return None
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError:
        manifest = None
    if manifest is None or manifest.task_digest != task.digest:
        raise WorkFailed(
            ExitCode.OUTPUT_EXISTS,
            f"{manifest_key(task)} belongs to another task; give each job an output prefix of its own",
        )
    return manifest


def result_of(manifest: Manifest, task: Task) -> Result:
    """Return the compact result that the operator puts into the job's status."""
    return Result(
        outputs=manifest.outputs,
        manifest_key=manifest_key(task),
        provenance=manifest.provenance,
        source_pixels=manifest.source_width * manifest.source_height,
        processing_milliseconds=manifest.processing_milliseconds,
        warnings=[warning[:200] for warning in manifest.warnings[:4]],
        unfulfilled=manifest.unfulfilled,
    )


class Submission:
    """What one pod stores under its own folder, which counts only once the manifest names it.

    One thread stores and commits; another may withdraw. Whichever comes first to the gate decides.
    """

    def __init__(self, storage: Storage, task: Task, pod_uid: str) -> None:
        self._storage = storage
        self._task = task
        self._pod_uid = pod_uid
        self._keys: list[str] = []
        self._gate = threading.Lock()
        self._committing = False
        self._withdrawn = False

    def store(self, files: Sequence[EncodedFile], on_progress: Callable[[float], None]) -> list[Output]:
        """Put files into the pod's folder and return their records.

        Raises:
            WorkFailed: OutputForbidden or StorageUnavailable, or what `on_progress` raises.
        """
        outputs = []
        for index, file in enumerate(files):
            on_progress(index / len(files))
            key = f"{self._task.output.prefix}/{self._pod_uid}/{file.path.name}"
            self._keys.append(key)
            self._storage.upload(
                self._task.output.bucket, key, file.path, sha256=file.sha256, media_type=file.media_type
            )
            outputs.append(file.output(key))
        return outputs

    def commit(self, manifest: Manifest) -> Manifest:
        """Create the manifest, or take back this pod's files when another was first; return the one that counts.

        Raises:
            WorkFailed: `Terminated` when the submission was withdrawn; `OutputExists` when another task was first;
                storage failures.
        """
        with self._gate:
            if self._withdrawn:
                raise WorkFailed(ExitCode.TERMINATED, "stopped by a signal before the result was committed")
            self._committing = True
        try:
            winner = self._create(manifest)
        except WorkFailed as failure:
            # Nobody knows whether a request without an answer took effect: then the files must stay.
            if failure.code is not ExitCode.STORAGE_UNAVAILABLE:
                self._committing = False
            raise
        if winner.pod_uid != self._pod_uid:
            log.info("event=adopted winner=%s", winner.pod_uid)
            self._delete()
        return winner

    def withdraw(self) -> bool:
        """Delete what was stored, unless the commit has begun; return whether it was withdrawn."""
        with self._gate:
            if self._committing:
                return False
            self._withdrawn = True
        self._delete()
        return True

    def _create(self, manifest: Manifest) -> Manifest:
        body = manifest.model_dump_json(by_alias=True, exclude_none=True, indent=2).encode()
        for attempt in range(_CONFLICT_TRIES):
            try:
                self._storage.create(self._task.output.bucket, manifest_key(self._task), body)
            except ManifestExistsError:
                winner = committed_manifest(self._storage, self._task)
                if winner is not None:
                    return winner
            except WriteConflictError:
                pass
            else:
                return manifest
            time.sleep(0.1 * 2**attempt)
        raise WorkFailed(ExitCode.STORAGE_UNAVAILABLE, "S3 keeps reporting a conflict for the manifest")

    def _delete(self) -> None:
        try:
            self._storage.delete(self._task.output.bucket, self._keys)
        except WorkFailed as failure:
            # Nothing refers to these files, so what can't be deleted only takes space.
            log.warning("event=left-behind keys=%d message=%r", len(self._keys), failure.message)
