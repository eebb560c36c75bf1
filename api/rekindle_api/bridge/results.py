"""Looks in S3 for the result of an attempt: the manifest, and every output that it names, at its full size."""

from pydantic import ValidationError

from rekindle_api.attempts.transitions import Observation
from rekindle_api.bridge.outcomes import completed, keys_in, manifest_key
from rekindle_api.bridge.sightings import Success
from rekindle_api.storage import ObjectStorage
from rekindle_crds import Manifest

_MAX_MANIFEST_BYTES = 1024 * 1024


class MissingResultError(Exception):
    """There is no whole result; the text says what is missing."""


async def find_result(storage: ObjectStorage, prefix: str, success: Success) -> Observation:
    """Return the completed end of the attempt whose outputs are under `prefix`; `storage` is of the attempt's bucket.

    Raises:
        MissingResultError: the manifest or an output is not there or not whole.
        StorageUnavailableError: S3 gave no answer, so nothing is known.
    """
    body = await storage.read(manifest_key(prefix), _MAX_MANIFEST_BYTES)
    if body is None:
        raise MissingResultError("The manifest of the result is not in the storage.")
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError:
        raise MissingResultError("The manifest of the result is not in the form of the contract.") from None
    keys = keys_in(manifest, prefix)
    if keys is None:
        raise MissingResultError("The manifest names no result under the prefix of this attempt.")
    for output in manifest.outputs:
        stored = await storage.head(output.key)
        if stored is None:
            raise MissingResultError(f"The output {output.name} is not in the storage.")
        if stored.size_bytes != output.bytes:
            raise MissingResultError(f"The output {output.name} has {stored.size_bytes} bytes, not {output.bytes}.")
    return completed(manifest, keys, success)
