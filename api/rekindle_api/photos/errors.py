"""Why a photo is refused, or not found."""

from rekindle_api.problems import Problem


class PhotoNotFoundError(Problem):
    """There is no such photo, or it is somebody else's: the reply is the same."""

    status = 404
    code = "photo_not_found"
    title = "Photo not found"

    def __init__(self) -> None:
        super().__init__("There is no such photo.")


class DownloadNotFoundError(Problem):
    """The photo has no object of this kind yet."""

    status = 404
    code = "download_not_found"
    title = "Nothing to download"


class MalformedUploadError(Problem):
    """The body is not multipart/form-data, or breaks off."""

    status = 400
    code = "malformed_upload"
    title = "The upload cannot be read"


class MissingFileError(Problem):
    """The form has no part named file, or an empty one."""

    status = 422
    code = "missing_file"
    title = "No file was sent"


class PhotoRefusedError(Problem):
    """The bytes that were sent cannot become a photo: sending them again changes nothing."""


class UnsupportedImageError(PhotoRefusedError):
    """The bytes are not a photo in a format that is taken."""

    status = 415
    code = "unsupported_image"
    title = "Not a photo that can be read"

    def __init__(self) -> None:
        super().__init__("This is not a photo in one of the formats JPEG, PNG, WebP, TIFF, HEIC and AVIF.")


class UnreadableImageError(PhotoRefusedError):
    """The bytes begin like a photo and cannot be decoded."""

    status = 422
    code = "unreadable_image"
    title = "The photo is damaged"

    def __init__(self) -> None:
        super().__init__("The file is damaged or incomplete: it cannot be decoded.")


class UploadTooLargeError(PhotoRefusedError):
    """The file has more bytes than are taken."""

    status = 413
    code = "upload_too_large"
    title = "The file is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The file is larger than {limit / 1_048_576:.0f} MiB.")


class ImageTooLargeError(PhotoRefusedError):
    """The photo has more pixels than are taken."""

    status = 413
    code = "image_too_large"
    title = "The photo has too many pixels"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The photo has more pixels than the {limit / 1_000_000:.0f} megapixels that are taken.")


class ChecksumMismatchError(PhotoRefusedError):
    """The bytes that came are not those that were announced."""

    status = 422
    code = "checksum_mismatch"
    title = "Not the announced file"

    def __init__(self) -> None:
        super().__init__("The uploaded file has another SHA-256 than was announced. Ask for a new upload.")


class UploadChangedError(PhotoRefusedError):
    """The file was replaced while it was completed."""

    status = 409
    code = "upload_changed"
    title = "The file was replaced"

    def __init__(self) -> None:
        super().__init__("The uploaded file was replaced while it was being completed. Ask for a new upload.")


class UploadMissingError(Problem):
    """The complete call came before the file."""

    status = 409
    code = "upload_missing"
    title = "Nothing was uploaded yet"

    def __init__(self) -> None:
        super().__init__("No file has arrived. Send it with the form of the upload first, then complete the upload.")


class QuotaExceededError(Problem):
    """The photo does not fit into what the account's tier may store."""

    status = 403
    code = "storage_quota_exceeded"
    title = "No storage left"

    def __init__(self, used: int, limit: int, arriving: int) -> None:
        super().__init__(
            f"The account holds {_mebibytes(used)} of the {_mebibytes(limit)} MiB that its plan has, so there is"
            f" no room for {_mebibytes(arriving)} MiB more. Delete photos or results, or choose a larger plan."
        )


def _mebibytes(size: int) -> str:
    return f"{size / 1_048_576:,.1f}".removesuffix(".0")


class UploadStalledError(Problem):
    """Nothing, or too little, arrived for a long time."""

    status = 408
    code = "upload_stalled"
    title = "The upload stalled"
    headers = {"Connection": "close"}  # noqa: RUF012 - never changed


class UploadsBusyError(Problem):
    """As many uploads as this process takes are under way."""

    status = 503
    code = "uploads_busy"
    title = "Too many uploads at once"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class TooManyUploadsError(Problem):
    """The account has as many uploads under way as this process takes of one."""

    status = 429
    code = "too_many_uploads"
    title = "Too many uploads of one account at once"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class UploadAbortedError(Problem):
    """The client left before the end; nobody reads this reply."""

    status = 400
    code = "upload_aborted"
    title = "The upload was broken off"
