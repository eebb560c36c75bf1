"""What goes into a processing container and what comes out of it: docs/engines.md tells the whole contract."""

import hashlib
import json
from typing import Annotated

from pydantic import Field, StringConstraints

from rekindle_crds.animation import AnimationParameters
from rekindle_crds.engine import Operation
from rekindle_crds.meta import API_VERSION, FITS_INT64, ApiVersion, Clipped, Contract, Sha256, Time, one_of_each
from rekindle_crds.restore import RestoreParameters
from rekindle_crds.s3 import OutputLocation, SourceLocation
from rekindle_crds.status import MAX_LOG_LINES, MAX_OUTPUTS, MAX_WISHES, LogLine, Output, Provenance, Result, Wish

TASK_VARIABLE = "REKINDLE_TASK"
POD_UID_VARIABLE = "REKINDLE_POD_UID"
SCRATCH_VARIABLE = "REKINDLE_SCRATCH_DIR"
WEIGHTS_VARIABLE = "REKINDLE_WEIGHTS_DIR"
TERMINATION_LOG_VARIABLE = "REKINDLE_TERMINATION_LOG"
MANIFEST_NAME = "manifest.json"
MAX_TERMINATION_MESSAGE_BYTES = 4096


class Task(Contract):
    """What one container has to do; JSON in the environment variable REKINDLE_TASK."""

    api_version: ApiVersion = API_VERSION
    operation: Operation
    """What to do."""
    namespace: str
    """Namespace of the job, for log lines."""
    name: str
    """Name of the job, for log lines."""
    engine: str
    """Name of the Engine, for the provenance."""
    image: str | None = None
    """Container image of the Engine, for the provenance."""
    source: SourceLocation
    """The photo."""
    output: OutputLocation
    """Where the result goes."""
    restore: RestoreParameters | None = None
    """Parameters of the operation Restore."""
    animation: AnimationParameters | None = None
    """Parameters of the operation Animate."""

    @property
    def digest(self) -> str:
        """SHA-256 over what decides the result; two pods of one job have the same, whatever Engine runs them."""
        decisive = self.model_dump(
            mode="json",
            by_alias=True,
            include={"operation", "source", "output", "restore", "animation"},
            exclude_none=True,
        )
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class ProgressLine(Contract):
    """One line of JSON on standard output; lines that are not of this form are ordinary log lines."""

    stage: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    """The step that runs now."""
    percent: Annotated[int, Field(ge=0, le=100)]
    """Share of the whole work that is done."""
    source_pixels: Annotated[int, Field(ge=1), FITS_INT64] | None = None
    """Width times height of the source, once it is known; the time of completion is estimated from it."""


class TerminationMessage(Contract):
    """What a container leaves in its termination log: at most 4096 bytes of JSON."""

    reason: Annotated[str, StringConstraints(max_length=64)]
    """Completed, or why there is no result: the reason that belongs to the exit code."""
    message: Annotated[str, Clipped(200)] = ""
    """Why there is no result, in a sentence."""
    result: Result | None = None
    """What was made."""
    log_tail: Annotated[list[LogLine], Field(max_length=MAX_LOG_LINES)] | None = None
    """The last log lines of a container that was asked to stop."""


class StepRecord(Contract):
    """One step of the pipeline as it was really done."""

    name: Annotated[str, StringConstraints(max_length=64)]
    """Name of the step."""
    applied: bool
    """False for a step that was turned off or found nothing to do."""
    parameters: dict[str, float | int | str | bool] = {}
    """Parameters that were asked for, estimated or derived."""
    milliseconds: Annotated[int, Field(ge=0)]
    """How long it took."""


class Manifest(Contract):
    """manifest.json under the output prefix: written last, once, and so the proof that a result is whole."""

    api_version: ApiVersion = API_VERSION
    task_digest: Sha256
    """Digest of the task that was done."""
    pod_uid: Annotated[str, StringConstraints(min_length=1, max_length=36)]
    """Uid of the pod that wrote it; the outputs lie in a folder of this name."""
    created_at: Time
    """When it was written."""
    source: SourceLocation
    """The photo."""
    source_sha256: Sha256
    """SHA-256 of the photo's bytes."""
    source_width: int
    """Width of the photo in pixels, upright."""
    source_height: int
    """Height of the photo in pixels, upright."""
    outputs: Annotated[list[Output], Field(min_length=1, max_length=MAX_OUTPUTS), one_of_each("name")]
    """What was written."""
    steps: Annotated[list[StepRecord], Field(max_length=64)]
    """Every step in order."""
    provenance: Provenance
    """What made the result."""
    processing_milliseconds: int
    """Time from the source's first byte to the manifest's last."""
    warnings: Annotated[list[Annotated[str, Clipped(400)]], Field(max_length=16)] = []
    """What was asked for and could not be done, in sentences for people."""
    unfulfilled: Annotated[list[Wish], Field(max_length=MAX_WISHES)] = []
    """The same for programs: names of the parameters that could not be honoured."""
