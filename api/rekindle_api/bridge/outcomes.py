"""How an attempt ends when it is not the resource that says so. Pure."""

from enum import StrEnum

from rekindle_api.attempts.models import AttemptStatus
from rekindle_api.attempts.transitions import Observation, ResultKeys
from rekindle_api.bridge.sightings import MAX_MESSAGE_LENGTH, Success
from rekindle_crds import Manifest, OutputName, Reason
from rekindle_crds.task import MANIFEST_NAME

_MAX_KEY_BYTES = 1024


class BridgeReason(StrEnum):
    """Reasons that only the bridge gives; the others are those of the resource."""

    INVALID = "Invalid"
    """The API server does not accept the resource."""
    NAME_TAKEN = "NameTaken"
    """Something that is not ours has the name of the resource."""
    VANISHED = "Vanished"
    """The resource vanished; for some time its pod may still store a result."""
    LOST = "Lost"
    """The resource vanished and left no result."""


def invalid(message: str) -> Observation:
    """Return the end of an attempt whose resource can't be made."""
    return _failed(BridgeReason.INVALID, f"Kubernetes does not accept this job: {message}")


def name_taken(kind: str, name: str) -> Observation:
    """Return the end of an attempt whose resource's name is in use by somebody else."""
    return _failed(BridgeReason.NAME_TAKEN, f"Another {kind} is called {name}.")


def never_started(kind: str, error: str | None) -> Observation:
    """Return the end of an attempt whose resource could not be made before its start deadline."""
    why = f" The last answer: {error}" if error else ""
    return _failed(Reason.START_DEADLINE_EXCEEDED, f"Kubernetes took no {kind} for this in time.{why}")


def cancelled() -> Observation:
    """Return the end of an attempt that was cancelled and has no resource any more."""
    return Observation(status=AttemptStatus.CANCELLED, reason=Reason.CANCELLED)


def vanished(kind: str) -> Observation:
    """Return what is known of an attempt whose resource is gone, as long as its pod may still end its work."""
    message = f"The {kind} vanished; a result may still come from its pod."
    return Observation(status=AttemptStatus.QUEUED, reason=BridgeReason.VANISHED, message=message)


def lost(kind: str) -> Observation:
    """Return the end of an attempt whose resource is gone and left no result."""
    return _failed(BridgeReason.LOST, f"The {kind} vanished before it ended, and there is no result.")


def result_missing(why: str) -> Observation:
    """Return the end of an attempt whose resource tells of a result that is not there."""
    return _failed(Reason.RESULT_MISSING, why)


def completed(manifest: Manifest, keys: ResultKeys, success: Success) -> Observation:
    """Return the end of an attempt whose result was found."""
    return Observation(
        status=AttemptStatus.COMPLETED,
        started_at=success.started_at,
        finished_at=success.finished_at or manifest.created_at,
        keys=keys,
        warnings=tuple(manifest.warnings),
        unfulfilled=tuple(manifest.unfulfilled),
    )


def keys_in(manifest: Manifest, prefix: str) -> ResultKeys | None:
    """Return where the outputs of a manifest are; None without a result, or with a key outside of the attempt's prefix.

    An engine may be a stranger's program: a key elsewhere could be another user's photo, and about one that S3 cannot
    have it would be asked for ever.
    """
    keys = {output.name: output.key for output in manifest.outputs}
    if OutputName.RESULT not in keys or not all(_is_key(key, prefix) for key in keys.values()):
        return None
    return ResultKeys(
        result=keys[OutputName.RESULT],
        manifest=manifest_key(prefix),
        preview=keys.get(OutputName.PREVIEW),
        thumbnail=keys.get(OutputName.THUMBNAIL) or keys.get(OutputName.POSTER),
        watermarked_result=keys.get(OutputName.WATERMARKED_RESULT),
        watermarked_preview=keys.get(OutputName.WATERMARKED_PREVIEW),
        # A thumbnail is too small to be of use to anybody but a list; a poster is a picture of full size.
        watermarked_thumbnail=keys.get(OutputName.THUMBNAIL) or keys.get(OutputName.WATERMARKED_POSTER),
        bytes=sum(output.bytes for output in manifest.outputs),
    )


def _is_key(key: str, prefix: str) -> bool:
    return key.startswith(f"{prefix}/") and "\0" not in key and len(key.encode()) <= _MAX_KEY_BYTES


def manifest_key(prefix: str) -> str:
    """Return the key of the manifest under an attempt's prefix."""
    return f"{prefix}/{MANIFEST_NAME}"


def _failed(reason: str, message: str) -> Observation:
    return Observation(status=AttemptStatus.FAILED, reason=reason, message=message[:MAX_MESSAGE_LENGTH])
