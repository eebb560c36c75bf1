"""Every reason that a status, an attempt or an Event can show, with what it means and what to do."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """One CamelCase word for why a job is where it is. Words are added, never given a new meaning."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make a member from its word and the sentence that documents it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    ACCEPTED = "Accepted", "The operator has seen the job and works on it."
    ENGINE_NOT_FOUND = (
        "EngineNotFound",
        "No Engine of this name exists in the namespace, or no Engine is the default for this operation. "
        "The job waits and starts when the Engine appears.",
    )
    ENGINE_MISMATCH = (
        "EngineMismatch",
        "The Engine does not offer this operation. The job waits; change engineName or the Engine's operations.",
    )
    WAITING_FOR_POD = "WaitingForPod", "The child Job exists; its pod was not created or scheduled yet."
    UNSCHEDULABLE = "Unschedulable", "No node can take the pod: the message of the scheduler says what is missing."
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        "The node cannot pull the Engine's image. It keeps trying; check image and imagePullSecrets of the Engine.",
    )
    CONTAINER_CONFIG_ERROR = (
        "ContainerConfigError",
        "The container cannot be made, mostly for a Secret or key that the Engine names and that does not exist.",
    )
    CONTAINER_STARTING = "ContainerStarting", "The pod is on a node; its container starts."
    RETRYING = "Retrying", "An attempt failed; the next one starts after a back-off."
    CANCELLING = "Cancelling", "Cancel was asked for; the pod is being stopped."
    RUNNING = "Running", "The pod is processing the photo."
    COMPLETED = "Completed", "The result is stored."
    CANCELLED = "Cancelled", "The job was cancelled by spec.cancel."
    START_DEADLINE_EXCEEDED = (
        "StartDeadlineExceeded",
        "No container started within spec.startDeadlineSeconds.",
    )
    ACTIVE_DEADLINE_EXCEEDED = (
        "ActiveDeadlineExceeded",
        "Containers ran for longer than spec.activeDeadlineSeconds in all.",
    )
    SOURCE_NOT_FOUND = "SourceNotFound", "There is no object under the source key."
    SOURCE_FORBIDDEN = (
        "SourceForbidden",
        "S3 refused to read the source: check the permissions of the Engine's service account or Secret.",
    )
    UNREADABLE_IMAGE = "UnreadableImage", "The source is not an image that can be decoded."
    IMAGE_TOO_LARGE = "ImageTooLarge", "The source has more pixels or bytes than the engine accepts."
    OUTPUT_EXISTS = (
        "OutputExists",
        "The output prefix holds the result of another task. Choose a prefix of its own for each job.",
    )
    OUTPUT_FORBIDDEN = (
        "OutputForbidden",
        "S3 refused to write the result: check the permissions of the Engine's service account or Secret.",
    )
    INVALID_TASK = "InvalidTask", "The engine does not understand its task; its image may be older than the operator."
    INPUT_REFUSED = "InputRefused", "The engine refused the input; its message says why."
    TERMINATED = "Terminated", "The container was asked to stop (SIGTERM) and did."
    STORAGE_UNAVAILABLE = "StorageUnavailable", "S3 did not answer, or answered with a server error."
    OUT_OF_MEMORY = "OutOfMemory", "The container needed more memory than its limit: raise the Engine's memory limit."
    TRANSIENT_FAILURE = "TransientFailure", "The engine failed for a reason that it calls transient."
    ENGINE_ERROR = "EngineError", "The engine failed by a bug of its own; see the last log lines of the attempt."
    KILLED = "Killed", "The container was killed by a signal."
    DISRUPTED = "Disrupted", "The pod was evicted, preempted or lost with its node. It costs no retry."
    POD_DELETED = "PodDeleted", "The pod was deleted by somebody before it ended."
    RETRIES_EXHAUSTED = "RetriesExhausted", "Every attempt failed; the message names the last reason."
    TOO_MANY_DISRUPTIONS = "TooManyDisruptions", "More than 10 pods of the job were disrupted."
    RESULT_MISSING = "ResultMissing", "The container exited with 0 and left no valid result."
    CHILD_REFUSED = (
        "ChildRefused",
        "The API server refused the child Job; it says why. What may pass, like a quota, is waited for; "
        "a child that is invalid fails the job: correct the Engine and make another job.",
    )
    CHILD_CONFLICT = (
        "ChildConflict",
        "A Job that belongs to somebody else has the name of the child Job: the job fails.",
    )
    CHILD_LOST = (
        "ChildLost",
        "The child Job was deleted by somebody before it ended. Another one takes its place as long as retries remain.",
    )
    BUCKET_NOT_ALLOWED = "BucketNotAllowed", "The operator's settings do not allow a bucket that the job names."
    SERVICE_ACCOUNT_NOT_ALLOWED = (
        "ServiceAccountNotAllowed",
        "The operator's settings do not allow the Engine's service account. The job waits; change the Engine.",
    )
    SCRATCH_FULL = "ScratchFull", "The container wrote more than the Engine's scratchSize and was evicted: raise it."
    NODE_REFUSED = "NodeRefused", "The node refused to start the pod; the message says what it lacks."
