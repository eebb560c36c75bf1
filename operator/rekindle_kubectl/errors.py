"""What goes wrong, as sentences for the person at the terminal."""


class PluginError(Exception):
    """Something failed; the message says what and, where that is known, what to do. Exit code 1."""


class UsageError(PluginError):
    """What was asked for makes no sense. Exit code 2."""


class ClusterError(PluginError):
    """The API server refused a request, or gave no answer.

    Attributes:
        status: HTTP status of the answer; 0 when there was none.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in {0, 408, 429} or self.status >= 500


class NotInstalledError(ClusterError):
    """The cluster does not know the custom resources."""


class StorageError(PluginError):
    """S3 refused a request, or gave no answer."""
