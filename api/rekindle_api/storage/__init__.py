"""S3: bytes in and out, and signed URLs. Nothing here knows what a photo is."""

from rekindle_api.storage.objects import ObjectInfo, ObjectStorage, StorageUnavailableError
from rekindle_api.storage.signing import Download

__all__ = ["Download", "ObjectInfo", "ObjectStorage", "StorageUnavailableError"]
