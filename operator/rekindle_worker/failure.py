"""The one way in which work fails for a reason that its owner can understand."""

from rekindle_crds import ExitCode


class WorkFailed(Exception):  # noqa: N818 - it reads as a sentence where it is raised and caught
    """There is no result, for a reason that belongs to the contract with the operator.

    Attributes:
        code: Exit code of the process; it decides whether a retry makes sense.
        message: What is wrong and what to do, in one sentence without credentials.
    """

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
