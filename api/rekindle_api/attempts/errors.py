"""Why a restoration or an animation is not begun, or an attempt not found."""

from rekindle_api.problems import Problem


class AttemptNotFoundError(Problem):
    """There is no such attempt, or it is somebody else's."""

    status = 404
    code = "attempt_not_found"
    title = "Attempt not found"

    def __init__(self) -> None:
        super().__init__("There is no such attempt.")


class AttemptEndedError(Problem):
    """The attempt to cancel ended by itself."""

    status = 409
    code = "attempt_ended"
    title = "The attempt has ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"The attempt is {status} already.")


class AttemptNotRetryableError(Problem):
    """The attempt to repeat did not fail and was not cancelled."""

    status = 409
    code = "attempt_not_retryable"
    title = "Nothing to retry"

    def __init__(self, status: str) -> None:
        super().__init__(f"The attempt is {status}; only one that failed or was cancelled can be tried again.")


class SourceResultNotFoundError(Problem):
    """The result to start from does not exist."""

    status = 404
    code = "source_result_not_found"
    title = "Source result not found"

    def __init__(self) -> None:
        super().__init__("The earlier result to start from does not exist.")


class SourceResultNotReadyError(Problem):
    """The attempt whose result to start from has none, or none yet."""

    status = 409
    code = "source_result_not_ready"
    title = "Source result not ready"

    def __init__(self) -> None:
        super().__init__("The attempt to start from has no result; choose one that is completed.")


class RestoreNotFoundError(Problem):
    """The restoration to animate does not exist."""

    status = 404
    code = "restore_not_found"
    title = "Restoration not found"

    def __init__(self) -> None:
        super().__init__("This photo has no such restoration; name one of its own, or none to animate the original.")


class RestoreWithoutResultError(Problem):
    """The restoration to animate ended without a result."""

    status = 409
    code = "restore_without_result"
    title = "Restoration without a result"

    def __init__(self, status: str) -> None:
        super().__init__(f"The restoration is {status}, so there is nothing to animate; restore the photo again.")
