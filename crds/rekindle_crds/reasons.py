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
    ENGINE_NOT_READY = (
        "EngineNotReady",
        "The Engine's Ready condition is not true: it names a ServiceAccount or a PersistentVolumeClaim that does not "
        "exist. The job waits and starts when the Engine is ready.",
    )
    ENGINE_READY = "EngineReady", "All that the Engine names exists; jobs can use it."
    ENGINE_CHANGED = (
        "EngineChanged",
        "The Engine was changed while no pod of the job could start; the child Job is made anew. It costs no retry.",
    )
    SERVICE_ACCOUNT_NOT_FOUND = (
        "ServiceAccountNotFound",
        "The Engine names a ServiceAccount that does not exist in its namespace: make it, or correct the Engine.",
    )
    VOLUME_CLAIM_NOT_FOUND = (
        "VolumeClaimNotFound",
        "The Engine names a PersistentVolumeClaim that does not exist in its namespace: make it, or correct the "
        "Engine.",
    )
    ENGINE_FULL = (
        "EngineFull",
        "As many jobs as the Engine's maxRunning allows are running; status.waiting has the position.",
    )
    NAMESPACE_FULL = (
        "NamespaceFull",
        "As many jobs as the operator's settings allow in a namespace are running; status.waiting has the position.",
    )
    AWAITING_QUEUE_ADMISSION = "AwaitingQueueAdmission", "Kueue has not admitted the job yet: spec.queueName decides."
    RESTORE_JOB_NOT_FOUND = (
        "RestoreJobNotFound",
        "The RestoreJob that the animation is to be made of does not exist. The job waits and starts when it has "
        "succeeded.",
    )
    WAITING_FOR_RESTORE_JOB = (
        "WaitingForRestoreJob",
        "The RestoreJob that the animation is to be made of has not ended.",
    )
    RESTORE_JOB_FAILED = "RestoreJobFailed", "The RestoreJob failed, so that there is nothing to animate."
    RESTORE_JOB_CANCELLED = "RestoreJobCancelled", "The RestoreJob was cancelled, so that there is nothing to animate."
    RESTORE_JOB_GONE = (
        "RestoreJobGone",
        "The RestoreJob was deleted before it ended, so that there is nothing to animate.",
    )
    SUSPENDING = "Suspending", "spec.suspend was set; the pod is being stopped."
    SUSPENDED = (
        "Suspended",
        "spec.suspend keeps the job from running; set it to false to go on. An attempt that was stopped so costs no "
        "retry.",
    )
    RESUMED = "Resumed", "spec.suspend was taken back; the job goes on. Told by an Event only."
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
    EVICTED = "Evicted", "The pod was evicted, by a drained node or one that ran short of resources. It costs no retry."
    PREEMPTED = "Preempted", "The pod made room for a pod of higher priority. It costs no retry."
    NODE_LOST = "NodeLost", "The pod's node went away or does not answer. It costs no retry."
    DISRUPTED = "Disrupted", "The pod was disrupted for another reason; the message says which. It costs no retry."
    POD_DELETED = "PodDeleted", "The pod was deleted by somebody before it ended."
    RETRIES_EXHAUSTED = "RetriesExhausted", "Every attempt failed; the message names the last reason."
    TOO_MANY_DISRUPTIONS = "TooManyDisruptions", "More than 10 pods of the job were disrupted."
    RESULT_MISSING = "ResultMissing", "The container exited with 0 and left no valid result."
    CHILD_REFUSED = (
        "ChildRefused",
        "The API server refused the child Job; it says why. What may pass is waited for; a child that is invalid fails "
        "the job: correct the Engine and make another job.",
    )
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        "A ResourceQuota of the namespace has no room for the job. The job waits and starts when there is.",
    )
    POD_REFUSED = (
        "PodRefused",
        "The API server refuses the pod; the message says why. The job waits: correct the Engine or the namespace.",
    )
    NAMESPACE_TERMINATING = "NamespaceTerminating", "The namespace is being deleted, and the job with it."
    INVALID_STATUS = (
        "InvalidStatus",
        "The API server refused the job's status: the CustomResourceDefinitions do not fit the operator's version. "
        "Install those of the operator's version and make another job.",
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
