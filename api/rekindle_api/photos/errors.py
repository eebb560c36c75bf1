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


class UnsupportedImageError(Problem):
    """The bytes are not a photo in a format that is taken."""

    status = 415
    code = "unsupported_image"
    title = "Not a photo that can be read"

    def __init__(self) -> None:
        super().__init__("This is not a photo in one of the formats JPEG, PNG, WebP, TIFF, HEIC and AVIF.")


class UnreadableImageError(Problem):
    """The bytes begin like a photo and cannot be decoded."""

    status = 422
    code = "unreadable_image"
    title = "The photo is damaged"

    def __init__(self) -> None:
        super().__init__("The file is damaged or incomplete: it cannot be decoded.")


class UploadTooLargeError(Problem):
    """The file has more bytes than are taken."""

    status = 413
    code = "upload_too_large"
    title = "The file is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The file is larger than {limit / 1_048_576:.0f} MiB.")


class ImageTooLargeError(Problem):
    """The photo has more pixels than are taken."""

    status = 413
    code = "image_too_large"
    title = "The photo has too many pixels"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The photo has more pixels than the {limit / 1_000_000:.0f} megapixels that are taken.")


class UploadStalledError(Problem):
    """Nothing arrived for a long time."""

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


class UploadAbortedError(Problem):
    """The client left before the end; nobody reads this reply."""

    status = 400
    code = "upload_aborted"
    title = "The upload was broken off"
