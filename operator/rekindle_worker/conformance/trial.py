"""Runs an engine's command as the container of a pod, on a photo of its own in a bucket."""

import io
import os
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import ValidationError

from rekindle_crds import (
    AnimationParameters,
    Manifest,
    Operation,
    OutputLocation,
    ProgressLine,
    RestoreParameters,
    SourceLocation,
    Task,
    TerminationMessage,
)
from rekindle_crds.task import (
    MANIFEST_NAME,
    POD_UID_VARIABLE,
    SCRATCH_VARIABLE,
    TASK_VARIABLE,
    TERMINATION_LOG_VARIABLE,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SECONDS = 300.0
PHOTO_SIZE = (640, 480)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a container left behind."""

    uid: str
    exit_code: int
    progress: tuple[ProgressLine, ...]
    message: TerminationMessage | None
    """None when there is none, or it is not in the form of the contract."""
    message_bytes: int


@dataclass(frozen=True)
class Trial:
    """One engine on trial. Everything that it reads and writes lies under a prefix of its own in the bucket."""

    command: Sequence[str]
    client: "S3Client"
    bucket: str
    operation: Operation
    prefix: str

    def task(self, output: str, *, source: str = "source", **wishes: object) -> Task:
        """Return a task; `wishes` are parameters of the operation."""
        restores = self.operation is Operation.RESTORE
        short = {} if restores else {"durationSeconds": 1, "resolution": "480p"}
        return Task(
            operation=self.operation,
            namespace="conformance",
            name=output,
            engine="conformance",
            source=SourceLocation(bucket=self.bucket, key=f"{self.prefix}/{source}"),
            output=OutputLocation(bucket=self.bucket, prefix=f"{self.prefix}/{output}"),
            restore=RestoreParameters.model_validate(wishes) if restores else None,
            animation=None if restores else AnimationParameters.model_validate(short | wishes),
        )

    @cached_property
    def plain(self) -> tuple[Task, Ended]:
        """The task without a wish, and what became of it."""
        task = self.task("plain")
        return task, self.run(task)

    @cached_property
    def marked(self) -> tuple[Task, Ended]:
        """The same with a watermark."""
        task = self.task("marked", watermark="Conformance")
        return task, self.run(task)

    def put_photos(self) -> None:
        """Store a photo, and something that is none."""
        width, height = PHOTO_SIZE
        slope = np.linspace(40, 210, width * height).reshape(height, width)
        grain = np.random.default_rng(1).normal(0, 9, (height, width, 3))
        pixels = np.clip(slope[..., np.newaxis] + grain, 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90, comment=b"not for others")
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/source", Body=file.getvalue())
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/no-photo", Body=b"GIF89a, or so it says")

    def run(self, task: Task | None, *, stop: bool = False) -> Ended:
        """Run the command to its end; with `stop` it gets SIGTERM after its first line."""
        uid = str(uuid.uuid4())
        with tempfile.TemporaryDirectory(prefix="rekindle-conformance-") as folder:
            scratch, log = Path(folder) / "scratch", Path(folder) / "termination-log"
            scratch.mkdir()
            process = subprocess.Popen(
                self.command,
                env=self._environment(task, uid, scratch, log),
                cwd=scratch,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            lines = _lines(process, stop=stop)
            body = log.read_bytes() if log.is_file() else b""
        return Ended(uid, process.returncode, tuple(_progress(lines)), _message(body), len(body))

    def body(self, key: str) -> bytes | None:
        """Return an object; None when there is none."""
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None

    def manifest(self, task: Task) -> Manifest | None:
        """Return the manifest of a task; None when there is none, or it is not in the form of the contract."""
        body = self.body(f"{task.output.prefix}/{MANIFEST_NAME}")
        try:
            return Manifest.model_validate_json(body or b"")
        except ValidationError:
            return None

    def keys(self, prefix: str) -> list[str]:
        """Return the keys under a prefix of the bucket."""
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{prefix}/")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def clear(self) -> None:
        """Delete everything of this trial."""
        for key in self.keys(self.prefix):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def _environment(self, task: Task | None, uid: str, scratch: Path, log: Path) -> dict[str, str]:
        text = {} if task is None else {TASK_VARIABLE: task.model_dump_json(by_alias=True, exclude_none=True)}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("REKINDLE_")},
            POD_UID_VARIABLE: uid,
            SCRATCH_VARIABLE: str(scratch),
            TERMINATION_LOG_VARIABLE: str(log),
            **text,
        }


def _lines(process: "subprocess.Popen[str]", *, stop: bool) -> list[str]:
    """Return what a process prints until it ends; one that takes too long is killed."""
    lines: list[str] = []
    limit = threading.Timer(_SECONDS, process.kill)
    limit.start()
    try:
        for line in process.stdout or ():
            lines.append(line)
            if stop and len(lines) == 1:
                process.send_signal(signal.SIGTERM)
        process.wait()
    finally:
        limit.cancel()
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
    return lines


def _progress(lines: Sequence[str]) -> list[ProgressLine]:
    """Return the lines that are progress; all others are log."""
    found = []
    for line in lines:
        try:
            found.append(ProgressLine.model_validate_json(line))
        except ValidationError:
            continue
    return found


def _message(body: bytes) -> TerminationMessage | None:
    try:
        return TerminationMessage.model_validate_json(body)
    except ValidationError:
        return None
