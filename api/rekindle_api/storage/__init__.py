"""S3: bytes in and out, and signed URLs. Nothing here knows what a photo is."""

from rekindle_api.storage.forms import Form, UploadTerms
from rekindle_api.storage.objects import (
    ObjectChangedError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStorage,
    StorageUnavailableError,
)
from rekindle_api.storage.signing import Download

__all__ = [
    "Download",
    "Form",
    "ObjectChangedError",
    "ObjectInfo",
    "ObjectMissingError",
    "ObjectStorage",
    "StorageUnavailableError",
    "UploadTerms",
]
