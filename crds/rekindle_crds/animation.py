"""AnimationJob: one photo, or the result of a RestoreJob, to animate."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from rekindle_crds.lifecycle import Lifecycle
from rekindle_crds.meta import API_VERSION, ApiVersion, Contract, ObjectMeta, ObjectName, cel, immutable
from rekindle_crds.s3 import Bucket, Key, OutputLocation
from rekindle_crds.status import JobStatus
from rekindle_crds.watermark import WatermarkText


class Style(StrEnum):
    """How a photo comes to move."""

    KEN_BURNS = "KenBurns"


class Resolution(StrEnum):
    """Size of a video, as the length of its shorter side in pixels."""

    P480 = "480p"
    P720 = "720p"
    P1080 = "1080p"

    @property
    def pixels(self) -> int:
        """Length of the shorter side in pixels."""
        return int(self.value.removesuffix("p"))


class VideoFormat(StrEnum):
    """File format of the animation."""

    MP4 = "MP4"


class AnimationParameters(Contract):
    """How the photo is animated."""

    style: Style = Style.KEN_BURNS
    """KenBurns pans and zooms smoothly towards the subject of the photo."""
    duration_seconds: Annotated[int, Field(ge=1, le=30)] = 6
    """Length of the animation in seconds."""
    resolution: Resolution = Resolution.P720
    """Length of the shorter side of the video; the photo's proportions are kept, and it is never scaled up."""
    format: VideoFormat = VideoFormat.MP4
    """File format: MP4 is H.264 video that every browser plays."""
    prompt: Annotated[str, StringConstraints(max_length=500)] | None = None
    """Wishes in words, for engines that take them; the result says so when the engine does not."""
    watermark: WatermarkText | None = None
    """Text that is laid over copies of the outputs: WatermarkedResult, WatermarkedPreview and WatermarkedPoster. The
    outputs themselves stay clean. No copies are made when left out."""


class AnimationSource(Contract):
    """The photo to animate: either an object in S3, or the result of a RestoreJob."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "has(self.restoreJobName) ? !has(self.bucket) && !has(self.key) "
                    ": has(self.bucket) && has(self.key)",
                    "set either bucket and key, or restoreJobName",
                )
            ]
        }
    )

    bucket: Bucket | None = None
    """Name of the S3 bucket."""
    key: Key | None = None
    """Key of the object in the bucket."""
    restore_job_name: ObjectName | None = None
    """RestoreJob in the same namespace whose result is animated. The job waits for it, and fails with it."""


class AnimationJobSpec(Lifecycle):
    """What to animate, where to put the result, and how to run it."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.source.bucket) || self.source.bucket != self.output.bucket "
                    "|| !self.source.key.startsWith(self.output.prefix + '/')",
                    "source must not lie under output.prefix",
                ),
            ]
        }
    )

    source: Annotated[AnimationSource, Field(json_schema_extra=immutable("source", "AnimationJob"))]
    """The photo in S3, or the RestoreJob whose result it is. Immutable."""
    output: Annotated[OutputLocation, Field(json_schema_extra=immutable("output", "AnimationJob"))]
    """Where the result goes; a prefix that no other job uses. Immutable."""
    animation: Annotated[AnimationParameters, Field(json_schema_extra=immutable("animation", "AnimationJob"))] = (
        AnimationParameters()
    )
    """How the photo is animated. Immutable."""


class AnimationJob(Contract):
    """AnimationJob makes one short video of a photo in S3, or of what a RestoreJob made of it."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["AnimationJob"] = "AnimationJob"
    metadata: ObjectMeta
    spec: AnimationJobSpec
    """What to animate, where to put the result, and how to run it."""
    status: JobStatus = JobStatus()
    """What the operator knows of the job."""
