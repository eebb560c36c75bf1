"""Photos, tasks and worker processes for the tests of the worker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image

from rekindle_crds import (
    AnimationParameters,
    Manifest,
    Operation,
    OutputLocation,
    RestoreParameters,
    SourceLocation,
    Task,
    TerminationMessage,
)
from rekindle_dev.damage import Level, damage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from rekindle_dev.s3 import ObjectStore

_DATA = Path(skimage.__file__).parent / "data"


def _photo(name: str) -> NDArray[np.uint8]:
    with Image.open(next(_DATA.glob(f"{name}.*"))) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


@pytest.fixture(scope="session")
def photo() -> Callable[[str], NDArray[np.uint8]]:
    """Load one of the photos that come with scikit-image, as uint8 RGB."""
    return _photo


@pytest.fixture(scope="session")
def old_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small damaged photo as a JPEG file."""
    path = tmp_path_factory.mktemp("photos") / "old.jpg"
    Image.fromarray(damage(_photo("astronaut")[:256, 100:400], Level.MEDIUM, 1).photo).save(path, quality=90)
    return path


# VmHWM starts anew with the program; ru_maxrss would still hold the peak of the test process that forked it.
_MEASURE = """
import sys
from pathlib import Path
from rekindle_worker.cli import main
code = main(sys.argv[1:])
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""


@pytest.fixture(scope="session")
def peak_memory() -> Callable[..., int]:
    """Run the command rekindle-worker and return its peak resident set in bytes."""

    def measure(*arguments: str | Path) -> int:
        command = [sys.executable, "-c", _MEASURE, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout) * 1024

    return measure


@dataclass
class WorkerPod:
    """A worker process with the environment of a processing pod."""

    process: subprocess.Popen[str]
    termination_log: Path
    lines: list[str] = field(default_factory=list)

    def wait_for_stage(self, stage: str) -> None:
        """Read standard output until a stage is reported."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if json.loads(line)["stage"] == stage:
                return
        pytest.fail(f"the worker ended before {stage}: {self.process.communicate()[1]}")

    def finish(self) -> int:
        """Wait for the end and return the exit code."""
        out, self.errors = self.process.communicate(timeout=120)
        self.lines += out.splitlines()
        return self.process.returncode

    @property
    def message(self) -> TerminationMessage:
        """The termination message."""
        return TerminationMessage.model_validate_json(self.termination_log.read_bytes())


@dataclass
class Workplace:
    """A bucket, and pods that work on it."""

    client: "S3Client"
    bucket: str
    environment: dict[str, str]
    directory: Path
    pods: list[WorkerPod] = field(default_factory=list)

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def keys(self, prefix: str = "") -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return sorted(entry["Key"] for entry in listed.get("Contents", []))

    def manifest(self, prefix: str = "out") -> Manifest:
        return Manifest.model_validate_json(self.get(f"{prefix}/manifest.json"))

    def task(self, source: str = "in/photo", prefix: str = "out", **parameters: Any) -> Task:
        return Task(
            operation=Operation.RESTORE,
            namespace="default",
            name="job",
            engine="classic",
            image="registry.example/rekindle-worker:1",
            source=SourceLocation(bucket=self.bucket, key=source),
            output=OutputLocation(bucket=self.bucket, prefix=prefix),
            restore=RestoreParameters(**parameters),
        )

    def animation(self, source: str = "in/photo", prefix: str = "out", **parameters: Any) -> Task:
        animation = AnimationParameters(**parameters)
        plain = self.task(source, prefix)
        return plain.model_copy(update={"operation": Operation.ANIMATE, "restore": None, "animation": animation})

    def start(self, task: Task | str | None, uid: str = "pod-1", **environment: str) -> WorkerPod:
        """Start `python -m rekindle_worker` as the container of a pod."""
        scratch = self.directory / uid
        scratch.mkdir()
        log = scratch / "termination-log"
        text = task.model_dump_json(by_alias=True, exclude_none=True) if isinstance(task, Task) else task
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "REKINDLE_POD_UID": uid,
            "REKINDLE_SCRATCH_DIR": str(scratch),
            "REKINDLE_TERMINATION_LOG": str(log),
            **self.environment,
            **({"REKINDLE_TASK": text} if text is not None else {}),
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "rekindle_worker", *(["run"] if text is None else [])],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        pod = WorkerPod(process, log)
        self.pods.append(pod)
        return pod

    def run(self, task: Task | str | None, uid: str = "pod-1", **environment: str) -> tuple[int, WorkerPod]:
        """Run a pod to its end."""
        pod = self.start(task, uid, **environment)
        return pod.finish(), pod

    def close(self) -> None:
        for pod in self.pods:
            if pod.process.poll() is None:
                pod.process.send_signal(signal.SIGKILL)
            pod.process.communicate()
        self.client.close()


@pytest.fixture
def workplace(object_store: "ObjectStore", bucket: str, tmp_path: Path) -> Iterator[Workplace]:
    """A fresh bucket and a folder for pods."""
    place = Workplace(object_store.client(), bucket, object_store.environment(), tmp_path)
    yield place
    place.close()
