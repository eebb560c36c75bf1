"""Exit codes of a processing container: how an engine says why it stopped."""

from enum import IntEnum

from rekindle_crds.reasons import Reason


class ExitCode(IntEnum):
    """Exit codes with a meaning: 0 done, 10 to 19 the input's fault, 20 to 29 transient, all others a bug."""

    DONE = 0
    SOURCE_NOT_FOUND = 10
    UNREADABLE_IMAGE = 11
    SOURCE_FORBIDDEN = 12
    IMAGE_TOO_LARGE = 13
    OUTPUT_EXISTS = 14
    INVALID_TASK = 15
    OUTPUT_FORBIDDEN = 16
    TERMINATED = 20
    STORAGE_UNAVAILABLE = 21
    OUT_OF_MEMORY = 22

    @property
    def reason(self) -> Reason:
        """The reason that a job's status shows for this exit code."""
        return _REASONS[self]


INPUT_FAULTS = range(10, 20)
"""Exit codes that no retry can cure."""
TRANSIENT_FAULTS = range(20, 30)
"""Exit codes that a retry may cure."""

_REASONS = {
    ExitCode.DONE: Reason.COMPLETED,
    ExitCode.SOURCE_NOT_FOUND: Reason.SOURCE_NOT_FOUND,
    ExitCode.UNREADABLE_IMAGE: Reason.UNREADABLE_IMAGE,
    ExitCode.SOURCE_FORBIDDEN: Reason.SOURCE_FORBIDDEN,
    ExitCode.IMAGE_TOO_LARGE: Reason.IMAGE_TOO_LARGE,
    ExitCode.OUTPUT_EXISTS: Reason.OUTPUT_EXISTS,
    ExitCode.INVALID_TASK: Reason.INVALID_TASK,
    ExitCode.OUTPUT_FORBIDDEN: Reason.OUTPUT_FORBIDDEN,
    ExitCode.TERMINATED: Reason.TERMINATED,
    ExitCode.STORAGE_UNAVAILABLE: Reason.STORAGE_UNAVAILABLE,
    ExitCode.OUT_OF_MEMORY: Reason.OUT_OF_MEMORY,
}


def reason_of(exit_code: int) -> Reason:
    """Return the reason for any exit code of a container; one that has no meaning of its own is an engine's bug."""
    try:
        return ExitCode(exit_code).reason
    except ValueError:
        if exit_code in INPUT_FAULTS:
            return Reason.INPUT_REFUSED
        return Reason.TRANSIENT_FAILURE if exit_code in TRANSIENT_FAULTS else Reason.ENGINE_ERROR
