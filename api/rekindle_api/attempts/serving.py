"""Which of an attempt's outputs its owner gets: the clean ones, or their copies under a watermark. Pure."""

from dataclasses import dataclass

from rekindle_api.attempts.models import Attempt


@dataclass(frozen=True)
class Served:
    """Keys of the outputs that are shown and signed; nothing else of an attempt ever leaves the API."""

    result: str | None
    preview: str | None
    thumbnail: str | None
    watermarked: bool
    """Whether these are the copies under a watermark."""


def served(attempt: Attempt, *, watermarked: bool) -> Served:
    """Return what the owner gets. `watermarked` is the rule of the owner's tier now, not when the work was asked for.

    Once there is a copy under a watermark, whoever may see only that gets nothing clean: what has no such copy is left
    out. Work that was done without one, in a better tier or by an engine that makes none, is served as it is.
    """
    if watermarked and attempt.watermarked_result_key is not None:
        return Served(
            result=attempt.watermarked_result_key,
            preview=attempt.watermarked_preview_key,
            thumbnail=attempt.watermarked_thumbnail_key,
            watermarked=True,
        )
    return Served(
        result=attempt.result_key, preview=attempt.preview_key, thumbnail=attempt.thumbnail_key, watermarked=False
    )
