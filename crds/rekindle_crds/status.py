"""What the operator reports of a job. Every list and string is bounded: a full status stays under 32 KiB."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from rekindle_crds.meta import (
    FITS_INT64,
    LIST_ATOMIC,
    Clipped,
    Condition,
    Contract,
    Sha256,
    Time,
    list_map,
    one_of_each,
)
from rekindle_crds.s3 import OutputKey, SourceLocation

MAX_ATTEMPTS = 10
MAX_LOG_LINES = 10
MAX_OUTPUTS = 6
MAX_WISHES = 8
LogLine = Annotated[str, Clipped(120)]
"""One line of a log, cut to what a status can carry."""
Wish = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z][A-Za-z0-9]*$")]
"""Name of a parameter of the operation, as it stands in the spec."""


class Phase(StrEnum):
    """Where a job stands, in one word for people. Programs read the conditions."""

    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def finished(self) -> bool:
        """Whether a job in this phase never changes again."""
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED)


class Progress(Contract):
    """How far the running attempt is."""

    percent: Annotated[int, Field(ge=0, le=100)]
    """Share of the work that is done, from 0 to 100."""
    stage: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    """The step that runs now, as the engine calls it."""
    estimated_completion_time: Time | None = None
    """About when the attempt will end, by the measured speed of the Engine; absent as long as nothing was measured."""


class Waiting(Contract):
    """Why nothing runs yet."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Why the job waits, as one word of the documented list of reasons."""
    message: Annotated[str, Clipped(400)] = ""
    """Why the job waits, in a sentence."""
    position: Annotated[int, Field(ge=1)] | None = None
    """About how many jobs go first, counting this one; coarse for long queues."""


class Attempt(Contract):
    """One pod that worked, or tried to work, for the job."""

    number: Annotated[int, Field(ge=1)]
    """Counts the job's pods from 1."""
    pod_name: Annotated[str, Clipped(80)]
    """Name of the pod."""
    pod_uid: Annotated[str, StringConstraints(max_length=36)]
    """Uid of the pod; its outputs lie in a folder of this name."""
    node_name: Annotated[str, Clipped(100)] | None = None
    """The node that ran the pod."""
    start_time: Time | None = None
    """When the container started."""
    completion_time: Time | None = None
    """When the container ended."""
    reason: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Why the attempt ended, as one word of the documented list of reasons."""
    message: Annotated[str, Clipped(200)] | None = None
    """Why the attempt ended, in the engine's words."""
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    """Exit code of the container."""
    log_tail: Annotated[list[LogLine], Field(max_length=MAX_LOG_LINES, json_schema_extra=LIST_ATOMIC)] | None = None
    """The last log lines of an attempt that failed."""


class OutputName(StrEnum):
    """What an output is for."""

    RESULT = "Result"
    PREVIEW = "Preview"
    THUMBNAIL = "Thumbnail"
    POSTER = "Poster"
    WATERMARKED_RESULT = "WatermarkedResult"
    WATERMARKED_PREVIEW = "WatermarkedPreview"
    WATERMARKED_POSTER = "WatermarkedPoster"


class Output(Contract):
    """One object that the engine wrote."""

    name: OutputName
    """What the object is: the full-size Result, a Preview for screens, a Thumbnail for lists, the still Poster of an
    animation, or a copy of one of them under a watermark."""
    key: OutputKey
    """Its key in the bucket of spec.output."""
    sha256: Sha256
    """SHA-256 of its bytes."""
    bytes: Annotated[int, Field(ge=1), FITS_INT64]
    """Its size in bytes."""
    width: Annotated[int, Field(ge=1, le=100_000)]
    """Its width in pixels."""
    height: Annotated[int, Field(ge=1, le=100_000)]
    """Its height in pixels."""
    media_type: Annotated[str, StringConstraints(max_length=64)]
    """Its media type, for example image/jpeg."""
    duration_milliseconds: Annotated[int, Field(ge=1, le=86_400_000)] | None = None
    """Length of a video in milliseconds; absent for a still image."""


class Model(Contract):
    """A trained network that took part in a result."""

    name: Annotated[str, StringConstraints(max_length=64)]
    """Name and version of the model."""
    sha256: Sha256
    """SHA-256 of its weights."""
    license: Annotated[str, StringConstraints(max_length=64)]
    """Licence of its weights, as an SPDX identifier where there is one."""


class Provenance(Contract):
    """What made a result."""

    engine: Annotated[str, StringConstraints(max_length=253)]
    """Name of the Engine."""
    image: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Container image of the Engine."""
    version: Annotated[str, StringConstraints(max_length=64)]
    """Name and version of the program, as it calls itself."""
    models: Annotated[list[Model], Field(max_length=4, json_schema_extra=list_map("name")), one_of_each("name")] = []
    """Trained networks that took part; empty for classical processing."""


class Result(Contract):
    """What the job made."""

    outputs: Annotated[
        list[Output],
        Field(min_length=1, max_length=MAX_OUTPUTS, json_schema_extra=list_map("name")),
        one_of_each("name"),
    ]
    """The objects that were written."""
    manifest_key: OutputKey
    """Key of the manifest, which records every step and its parameters."""
    provenance: Provenance
    """What made the result."""
    source_pixels: Annotated[int, Field(ge=1), FITS_INT64]
    """Width times height of the source."""
    processing_milliseconds: Annotated[int, Field(ge=0), FITS_INT64]
    """Time from the source's first byte to the manifest's last."""
    warnings: Annotated[list[Annotated[str, Clipped(200)]], Field(max_length=4, json_schema_extra=LIST_ATOMIC)] = []
    """What was asked for and could not be done by this engine, in sentences for people."""
    unfulfilled: Annotated[list[Wish], Field(max_length=MAX_WISHES, json_schema_extra=LIST_ATOMIC)] = []
    """The same for programs: names of the parameters that could not be honoured, for example colorize or prompt."""


class Run(Contract):
    """The child Job that works for the job now, or did last."""

    number: Annotated[int, Field(ge=1)]
    """Counts the child Jobs from 1."""
    name: Annotated[str, StringConstraints(max_length=63)]
    """Name of the child Job."""
    uid: Annotated[str, StringConstraints(max_length=36)]
    """Uid of the child Job."""
    stopped: bool | None = None
    """True when the operator deleted the child Job, for spec.suspend or a changed Engine."""


class Suspension(Contract):
    """How often and for how long the job was suspended."""

    count: Annotated[int, Field(ge=1)]
    """How many times."""
    seconds: Annotated[int, Field(ge=0)] = 0
    """For how long in all, without the suspension that lasts."""
    since: Time | None = None
    """When the suspension that lasts began; absent when the job is not suspended."""


class JobStatus(Contract):
    """What the operator knows of the job. Only the operator writes it."""

    observed_generation: int = -1
    """The metadata.generation that this status was computed from; -1 until the operator has seen the job."""
    phase: Phase | None = None
    """Where the job stands in one word, for people; programs read the conditions."""
    conditions: Annotated[list[Condition], Field(max_length=5, json_schema_extra=list_map("type"))] = []
    """Finished (True on any end), Succeeded (Unknown until the end), and Ready, Reconciling and Stalled for tools
    that follow kstatus."""
    progress: Progress | None = None
    """How far the running attempt is."""
    waiting: Waiting | None = None
    """Why nothing runs yet; absent when a container runs and after the end."""
    engine_name: Annotated[str, StringConstraints(max_length=253)] | None = None
    """The Engine that was chosen."""
    node_name: Annotated[str, StringConstraints(max_length=253)] | None = None
    """The node of the last attempt."""
    attempt: Annotated[int, Field(ge=0)] | None = None
    """How many pods have been tried."""
    attempts: Annotated[list[Attempt], Field(max_length=MAX_ATTEMPTS, json_schema_extra=list_map("number"))] = []
    """The last attempts, oldest first."""
    disruptions: Annotated[int, Field(ge=0)] | None = None
    """How many attempts were disrupted; they cost no retry."""
    failures: Annotated[int, Field(ge=0)] | None = None
    """How many attempts failed; more than spec.backoffLimit end the job."""
    source: SourceLocation | None = None
    """The result of the RestoreJob that an AnimationJob names, once there is one."""
    suspension: Suspension | None = None
    """Absent when the job was never suspended."""
    result: Result | None = None
    """What the job made."""
    start_time: Time | None = None
    """When the first container started."""
    completion_time: Time | None = None
    """When the job ended, either way."""
    run: Run | None = None
    """The child Job."""
    active_seconds: Annotated[int, Field(ge=0)] | None = None
    """Time with a running container, over all ended attempts."""
