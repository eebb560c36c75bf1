"""RestoreJob: one photo to restore."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from rekindle_crds.lifecycle import Lifecycle
from rekindle_crds.meta import API_VERSION, ApiVersion, Contract, ObjectMeta, cel, immutable
from rekindle_crds.s3 import OutputLocation, SourceLocation
from rekindle_crds.status import JobStatus
from rekindle_crds.watermark import WatermarkText

Strength = Annotated[int, Field(ge=0, le=100)]
"""Strength of a step in percent; 0 turns it off."""


class Inpainting(StrEnum):
    """How damaged pixels are filled in."""

    AUTO = "Auto"
    BIHARMONIC = "Biharmonic"
    TELEA = "Telea"


class ColorMode(StrEnum):
    """Whether a photo is treated as colour or as monochrome."""

    AUTO = "Auto"
    COLOR = "Color"
    GRAYSCALE = "Grayscale"


class Colorization(StrEnum):
    """Whether colour is added to a monochrome photo."""

    NEVER = "Never"
    IF_AVAILABLE = "IfAvailable"


class ImageFormat(StrEnum):
    """File format of the full-size result."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"


class RestoreParameters(Contract):
    """What to do to the photo, and how strongly."""

    repair: Strength = 100
    """Removal of scratches and dust, in percent; 0 turns it off."""
    inpainting: Inpainting = Inpainting.AUTO
    """How scratches and dust are filled in: Biharmonic is best for thin damage, Telea is faster, Auto chooses."""
    denoise: Strength = 50
    """Removal of noise and grain, in percent; 0 turns it off. The noise of the photo is estimated first."""
    tone: Strength = 90
    """Recovery of faded tones and colours, in percent; 0 turns it off."""
    sharpen: Strength = 30
    """Gentle sharpening, in percent; 0 turns it off."""
    color_mode: ColorMode = ColorMode.AUTO
    """Grayscale restores a monochrome print in grey, Color keeps its colours, Auto decides by the photo."""
    colorize: Colorization = Colorization.NEVER
    """IfAvailable adds colour to a monochrome photo when the engine can; when it cannot, the result says so."""
    prompt: Annotated[str, StringConstraints(max_length=500)] | None = None
    """Wishes in words, for engines that take them; the result says so when the engine does not."""
    max_megapixels: Annotated[int, Field(ge=1, le=100)] | None = None
    """The result is scaled down to at most this many megapixels; full size when left out."""
    format: ImageFormat = ImageFormat.JPEG
    """File format of the result."""
    quality: Annotated[int, Field(ge=1, le=100)] = 92
    """Quality of a JPEG or WebP result."""
    watermark: WatermarkText | None = None
    """Text that is laid over copies of the outputs: WatermarkedResult and WatermarkedPreview. The outputs themselves
    stay clean. No copies are made when left out."""


class RestoreJobSpec(Lifecycle):
    """What to restore, where to put the result, and how to run it."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "self.source.bucket != self.output.bucket || !self.source.key.startsWith(self.output.prefix + '/')",
                    "source must not lie under output.prefix",
                ),
            ]
        }
    )

    source: Annotated[SourceLocation, Field(json_schema_extra=immutable("source", "RestoreJob"))]
    """The photo in S3. Immutable."""
    output: Annotated[OutputLocation, Field(json_schema_extra=immutable("output", "RestoreJob"))]
    """Where the result goes; a prefix that no other job uses. Immutable."""
    restore: Annotated[RestoreParameters, Field(json_schema_extra=immutable("restore", "RestoreJob"))] = (
        RestoreParameters()
    )
    """What to do to the photo. Immutable."""


class RestoreJob(Contract):
    """RestoreJob restores one photo: repairs scratches, noise and faded tones of an image in S3."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["RestoreJob"] = "RestoreJob"
    metadata: ObjectMeta
    spec: RestoreJobSpec
    """What to restore, where to put the result, and how to run it."""
    status: JobStatus = JobStatus()
    """What the operator knows of the job."""
