"""What a client may ask of a restoration or an animation, and how that reads as parameters of the custom resource."""

import hashlib
import json
import math
import uuid
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from rekindle_api.database.json_values import STORABLE_OBJECT, StorableText
from rekindle_crds import AnimationParameters, RestoreParameters
from rekindle_crds.animation import Resolution, Style, VideoFormat
from rekindle_crds.restore import Colorization

Prompt = Annotated[StorableText, StringConstraints(max_length=500)]
_DEFAULTS = RestoreParameters()
_LEVELS = {"low": 50, "medium": 70, "high": 90}
"""Percent for the words of the frontend: the span of its own numbers."""
_ANIMATION_DEFAULTS = AnimationParameters()


class _Wish(BaseModel):
    """Null says the same as leaving a field out."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: object) -> object:
        return {name: value for name, value in sent.items() if value is not None} if isinstance(sent, dict) else sent


class _Sent(_Wish):
    """Fields that are not known are kept as they were sent, and not acted on."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


class RestoreOptions(_Sent):
    """Wishes for the restoration."""

    colourize: bool = False
    """Add colour to a monochrome photo, when the engine can."""
    denoise_level: Any = None
    """Strength of noise removal where `denoise` is left out: from 0 to 1, or low, medium, high; others say nothing."""
    user_prompt: Prompt | None = None
    """Wishes in words, for engines that take them."""
    source_result_id: uuid.UUID | None = None
    """Start from the result of this earlier attempt instead of the original."""


class RestoreParams(_Sent):
    """How to restore. The older, flat form names prompt and colourize here."""

    denoise: Annotated[float, Field(ge=0, le=1)] | None = None
    """Strength of noise removal, from 0 to 1."""
    megapixels: Annotated[float, Field(gt=0, le=100)] | None = None
    """Largest size of the result."""
    restore: RestoreOptions = RestoreOptions()
    prompt: Prompt | None = None
    colourize: bool = False

    @property
    def denoise_percent(self) -> int:
        """Strength of noise removal as the resource has it."""
        if self.denoise is not None:
            return round(self.denoise * 100)
        level = self.restore.denoise_level
        if isinstance(level, str):
            return _LEVELS.get(level.lower(), _DEFAULTS.denoise)
        is_share = isinstance(level, int | float) and not isinstance(level, bool) and 0 <= level <= 1
        return round(level * 100) if is_share else _DEFAULTS.denoise


def _offered(style: object) -> object:
    if style not in list(Style):
        raise ValueError(f"there is no such style of animation; offered: {', '.join(Style)}")
    return style


class AnimateParams(_Sent):
    """How to animate. The frontend sends prompt and resolution."""

    prompt: Prompt | None = None
    """Wishes in words, for engines that take them."""
    resolution: Resolution | None = None
    """Length of the video's shorter side; it is never larger than the photo's."""
    style: Annotated[Style, BeforeValidator(_offered)] = _ANIMATION_DEFAULTS.style
    """How the photo comes to move."""
    duration_seconds: Annotated[int, Field(ge=1, le=30)] = _ANIMATION_DEFAULTS.duration_seconds
    """Length of the animation."""
    format: VideoFormat = _ANIMATION_DEFAULTS.format
    """File format of the animation."""


class _Request(_Wish):
    model: Annotated[StorableText, StringConstraints(max_length=100)] | None = None
    """Shown with the result; which engine works is decided by the cluster."""
    params: _Sent

    @model_validator(mode="after")
    def _storable(self) -> Self:
        STORABLE_OBJECT.validate_python(self.as_sent())
        return self

    def as_sent(self) -> dict[str, Any]:
        """Return the parameters as they were sent."""
        return self.params.model_dump(mode="json", by_alias=True, exclude_unset=True)


class RestoreRequest(_Request):
    """A wish to restore a photo."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"params": {"denoise": 0.7, "megapixels": 2, "restore": {"colourize": True}}}],
        }
    )

    params: RestoreParams = RestoreParams()

    @property
    def source_result_id(self) -> uuid.UUID | None:
        """The earlier attempt to start from."""
        return self.params.restore.source_result_id

    @property
    def colourize(self) -> bool:
        """Whether colour is asked for."""
        return self.params.restore.colourize or self.params.colourize

    def parameters(self) -> RestoreParameters:
        """Return the parameters of the resource."""
        params = self.params
        return RestoreParameters(
            denoise=params.denoise_percent,
            max_megapixels=None if params.megapixels is None else math.ceil(params.megapixels),
            colorize=Colorization.IF_AVAILABLE if self.colourize else Colorization.NEVER,
            prompt=params.restore.user_prompt or params.prompt or None,
        )


class AnimateRequest(_Request):
    """A wish to animate a photo."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"params": {"resolution": "720p", "durationSeconds": 6}}]},
    )

    restore_id: uuid.UUID | None = None
    """The restoration whose result is animated; it may still run. The original photo when left out."""
    params: AnimateParams = AnimateParams()

    def parameters(self) -> AnimationParameters:
        """Return the parameters of the resource."""
        params = self.params
        return AnimationParameters(
            style=params.style,
            duration_seconds=params.duration_seconds,
            resolution=params.resolution or _ANIMATION_DEFAULTS.resolution,
            format=params.format,
            prompt=params.prompt or None,
        )


def digest(model: str | None, source: str, parameters: RestoreParameters | AnimationParameters) -> str:
    """Return what is the same for two requests of one kind exactly when their results would be."""
    decisive = {"model": model, "source": source, "parameters": parameters.wire()}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
