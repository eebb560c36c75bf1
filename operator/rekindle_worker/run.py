"""`rekindle-worker run`: the task of a pod, from its environment to its exit code and termination message.

The work runs on a thread of its own, so that SIGTERM is heard even while a native call takes its time. Until the
manifest is being created, stopping leaves nothing behind; from then on the pod finishes, since the result may exist.
"""

import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from rekindle_crds import ExitCode, Reason, Task, TerminationMessage
from rekindle_crds.task import POD_UID_VARIABLE, SCRATCH_VARIABLE, TASK_VARIABLE, TERMINATION_LOG_VARIABLE
from rekindle_worker.attempt import Means, attempt, stages_of
from rekindle_worker.commit import Submission, result_of
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.decode import Limits
from rekindle_worker.operations import work_for
from rekindle_worker.progress import Progress, print_line
from rekindle_worker.stop import Stop
from rekindle_worker.storage import Storage
from rekindle_worker.termination import LogTail, failure_message, success_message, write_message

log = logging.getLogger(__name__)

BUG = 1
"""Exit code of an error that the contract has no word for."""
_NOTICE_SECONDS = 8.0
"""How long a thread inside a native call gets to notice SIGTERM; the usual grace is 30 seconds."""
_COMMIT_SECONDS = 15.0
_POLL_SECONDS = 0.1
_POD_UID = re.compile(r"[A-Za-z0-9-]{1,36}")


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the work ended."""

    exit_code: int
    message: TerminationMessage


class Run:
    """One task of one pod."""

    def __init__(self, stop: Stop, limits: Limits, threads: int, environment: Mapping[str, str]) -> None:
        self._stop = stop
        self._limits = limits
        self._threads = threads
        self._environment = environment
        self._tail = LogTail()
        self._submission: Submission | None = None
        self._ended: _Ended | None = None

    def __call__(self) -> int:
        """Do the task and return the exit code. When a native call can't be interrupted, the process ends in here."""
        logging.getLogger("rekindle_worker").addHandler(self._tail)
        worker = threading.Thread(target=self._work, name="work", daemon=True)
        worker.start()
        while worker.is_alive() and not self._stop.asked:
            worker.join(_POLL_SECONDS)
        worker.join(_NOTICE_SECONDS)
        ended = self._ended or self._abandon(worker)
        self._write(ended.message)
        if worker.is_alive():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.exit_code)
        return ended.exit_code

    def _abandon(self, worker: threading.Thread) -> _Ended:
        """End the work of a thread that does not answer; when it is committing, wait for the result instead."""
        if self._submission is not None and not self._submission.withdraw():
            worker.join(_COMMIT_SECONDS)
            if self._ended is not None:
                return self._ended
        return self._failed(WorkFailed(ExitCode.TERMINATED, "stopped by a signal in the middle of a step"))

    def _work(self) -> None:
        try:
            self._ended = self._attempt()
        except WorkFailed as failure:
            self._ended = self._failed(failure)
        except MemoryError:
            self._ended = self._failed(WorkFailed(ExitCode.OUT_OF_MEMORY, "there is not enough memory for this photo"))
        except BaseException as error:
            log.critical("event=bug", exc_info=True)
            words = f"{type(error).__name__}: {error}"[:256]
            self._ended = _Ended(BUG, TerminationMessage(reason=Reason.ENGINE_ERROR, message=words))
        if self._ended.exit_code != ExitCode.DONE and self._submission is not None:
            self._submission.withdraw()

    def _attempt(self) -> _Ended:
        task = _task(self._environment)
        uid = self._environment.get(POD_UID_VARIABLE, "")
        if not _POD_UID.fullmatch(uid):
            raise WorkFailed(ExitCode.INVALID_TASK, f"{POD_UID_VARIABLE} does not hold the uid of a pod")
        log.info("event=started job=%s/%s pod=%s threads=%d", task.namespace, task.name, uid, self._threads)
        storage = Storage()
        self._submission = Submission(storage, task, uid)
        work = work_for(task)
        progress = Progress(stages_of(work), print_line)

        def report(stage: str, fraction: float) -> None:
            self._stop.check()
            progress.report(stage, fraction)

        means = Means(
            storage=storage,
            limits=self._limits,
            threads=self._threads,
            scratch=Path(self._environment.get(SCRATCH_VARIABLE) or tempfile.gettempdir()),
            report=report,
            on_decoded=progress.source,
        )
        manifest = attempt(task, work, uid, self._submission, means)
        # Not through `report`: a signal that comes after the commit must not undo it.
        progress.report("store", 1.0)
        return _Ended(ExitCode.DONE, success_message(result_of(manifest, task)))

    def _failed(self, failure: WorkFailed) -> _Ended:
        log.error("event=failed reason=%s message=%r", failure.code.reason, failure.message)
        return _Ended(failure.code, failure_message(failure, self._tail))

    def _write(self, message: TerminationMessage) -> None:
        path = self._environment.get(TERMINATION_LOG_VARIABLE)
        try:
            write_message(Path(path) if path else None, message)
        except OSError as error:
            # The exit code and the manifest still tell the operator what happened.
            log.warning("event=no-termination-message error=%r", error)


def _task(environment: Mapping[str, str]) -> Task:
    """Return the task.

    Raises:
        WorkFailed: `InvalidTask` when there is none, or it is not understood or not offered.
    """
    text = environment.get(TASK_VARIABLE)
    if not text:
        raise WorkFailed(ExitCode.INVALID_TASK, f"{TASK_VARIABLE} is not set")
    try:
        return Task.model_validate_json(text)
    except ValidationError as error:
        raise WorkFailed(ExitCode.INVALID_TASK, f"{TASK_VARIABLE}: {_complaint(error)}") from error


def _complaint(error: ValidationError) -> str:
    """Return what is wrong with the task, by its first fault."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    if first["type"] == "enum":
        # The task may come from a newer version that knows more operations and styles.
        return f"{where}: this engine can't do {str(first['input'])[:64]!r}; it offers {first['ctx']['expected']}"
    return f"{where}: {first['msg']}"
