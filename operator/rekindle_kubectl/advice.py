"""What to do about each reason: sentences, and commands after `$ `, with names to be filled in.

The reasons' own meanings say what is so; this says what comes next. The names are those of `Names`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rekindle_crds import Reason


@dataclass(frozen=True, slots=True)
class Names:
    """What stands for the names in braces."""

    job: str
    """The job with its kind, for example rjob/grandmother."""
    engine: str
    """The Engine that was chosen or asked for."""
    operation: str
    """What the Engine has to offer."""
    pod: str
    """Name of the last pod."""
    source: str
    """URL of the photo."""
    output: str
    """URL of the folder of the result."""
    queue: str
    """Kueue LocalQueue."""
    upstream: str
    """The RestoreJob that an animation waits for."""
    scope: str
    """Options that choose namespace and cluster, with a space before them; empty when the defaults do."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do."""

    steps: tuple[str, ...]
    retry: bool = False
    """Whether a failed job is worth another try after that."""


_SEE_ENGINES = "$ kubectl get engines{scope}"
_EDIT_ENGINE = "$ kubectl edit engine {engine}{scope}"
_LOGS = "$ kubectl rekindle logs {job}{scope}"
_RESUME = "$ kubectl rekindle resume {job}{scope}"
_RETRIES_ALONE = "Nothing at once: Rekindle starts another pod by itself."
_READ_RIGHTS = "Let the Engine's service account or the key in its Secret read {source} (s3:GetObject)."

ADVICE: Mapping[Reason, Advice] = {
    Reason.ACCEPTED: Advice(("Nothing: the job is taken up.",)),
    Reason.ENGINE_NOT_FOUND: Advice(
        (
            "See which Engines there are, and which is the default:",
            _SEE_ENGINES,
            "Make the Engine that is missing, or name one that exists; the job then starts by itself:",
            '$ kubectl patch {job}{scope} --type=merge -p \'{{"spec":{{"engineName":"NAME"}}}}\'',
        )
    ),
    Reason.ENGINE_MISMATCH: Advice(
        (
            "Choose an Engine whose operations have {operation}; the job then starts by itself:",
            _SEE_ENGINES,
            '$ kubectl patch {job}{scope} --type=merge -p \'{{"spec":{{"engineName":"NAME"}}}}\'',
        )
    ),
    Reason.ENGINE_NOT_READY: Advice(
        (
            "The Engine's Ready condition names what is missing:",
            "$ kubectl describe engine {engine}{scope}",
            "Make that ServiceAccount or PersistentVolumeClaim, or take its name out of the Engine.",
        )
    ),
    Reason.ENGINE_READY: Advice(("Nothing: the Engine can be used.",)),
    Reason.SERVICE_ACCOUNT_NOT_FOUND: Advice(
        ("Make the ServiceAccount that the message names, or take it out of the Engine:", _EDIT_ENGINE)
    ),
    Reason.VOLUME_CLAIM_NOT_FOUND: Advice(
        ("Make the PersistentVolumeClaim that the message names, or take it out of the Engine:", _EDIT_ENGINE)
    ),
    Reason.ENGINE_FULL: Advice(
        (
            "Nothing: it starts when it is its turn. To see what runs:",
            "$ kubectl rekindle top{scope}",
            "To let it go first, raise its priority above that of the others:",
            '$ kubectl patch {job}{scope} --type=merge -p \'{{"spec":{{"priority":10}}}}\'',
            "To let more jobs run at once, raise maxRunning of the Engine:",
            _EDIT_ENGINE,
        )
    ),
    Reason.NAMESPACE_FULL: Advice(
        (
            "Nothing: it starts when it is its turn. To see what runs:",
            "$ kubectl rekindle top{scope}",
            "To let it go first, raise its priority above that of the others:",
            '$ kubectl patch {job}{scope} --type=merge -p \'{{"spec":{{"priority":10}}}}\'',
            "The limit of the namespace is a setting of the operator: ask who runs it.",
        )
    ),
    Reason.AWAITING_QUEUE_ADMISSION: Advice(
        (
            "Kueue decides when it starts. See what its queue waits for:",
            "$ kubectl get localqueue {queue}{scope}",
            "$ kubectl get workloads{scope}",
        )
    ),
    Reason.RESTORE_JOB_NOT_FOUND: Advice(
        (
            "Make {upstream}; the animation starts when it has succeeded. When its name is a mistake, cancel this job:",
            "$ kubectl rekindle cancel {job}{scope}",
        )
    ),
    Reason.WAITING_FOR_RESTORE_JOB: Advice(("Nothing: it starts by itself. What it waits for stands below.",)),
    Reason.RESTORE_JOB_FAILED: Advice(
        (
            "Retry the restoration, then animate its result:",
            "$ kubectl rekindle retry {upstream} --wait{scope}",
            "$ kubectl rekindle animate {upstream}-retry-1{scope}",
        )
    ),
    Reason.RESTORE_JOB_CANCELLED: Advice(
        (
            "When the animation is still wanted, retry the restoration and animate its result:",
            "$ kubectl rekindle retry {upstream} --wait{scope}",
            "$ kubectl rekindle animate {upstream}-retry-1{scope}",
        )
    ),
    Reason.RESTORE_JOB_GONE: Advice(("Restore the photo again, and animate the result of that job.",)),
    Reason.ENGINE_CHANGED: Advice(("Nothing: the child Job is made anew, with the Engine as it is now.",)),
    Reason.SUSPENDING: Advice(("Nothing: its pod is being stopped. To let it go on afterwards:", _RESUME)),
    Reason.SUSPENDED: Advice(("Let it go on:", _RESUME)),
    Reason.RESUMED: Advice(("Nothing: the job goes on.",)),
    Reason.WAITING_FOR_POD: Advice(
        (
            "Nothing: this takes a second. When it lasts, see whether the cluster's Job controller or scheduler is "
            "busy or a quota stands in the way:",
            "$ kubectl get events{scope} --sort-by=.lastTimestamp",
        )
    ),
    Reason.UNSCHEDULABLE: Advice(
        (
            "Nothing, when the cluster adds nodes by itself. Else free room on a node, or let the Engine ask for less "
            "(resources.requests) or accept more nodes (nodeSelector, tolerations):",
            _EDIT_ENGINE,
            "A change of the Engine takes effect at once: the job gets a new pod.",
        )
    ),
    Reason.IMAGE_PULL_FAILED: Advice(
        (
            "Check the Engine's image for a mistake, and imagePullSecrets for a registry that asks for a login:",
            _EDIT_ENGINE,
            "The node tries again by itself; after a change of the Engine the job gets a new pod.",
        )
    ),
    Reason.CONTAINER_CONFIG_ERROR: Advice(
        (
            "Make the Secret or the key that the message names; the pod then starts by itself. See what the Engine "
            "names:",
            "$ kubectl get engine {engine}{scope} -o yaml",
        )
    ),
    Reason.CONTAINER_STARTING: Advice(
        ("Nothing: the first start on a node pulls the image. When it lasts:", "$ kubectl describe pod {pod}{scope}")
    ),
    Reason.RETRYING: Advice((_RETRIES_ALONE,)),
    Reason.CANCELLING: Advice(("Nothing: its pod is being stopped.",)),
    Reason.RUNNING: Advice(("Nothing: it works. To watch it:", "$ kubectl rekindle logs -f {job}{scope}")),
    Reason.COMPLETED: Advice(("Nothing: the result is at {output}/",)),
    Reason.CANCELLED: Advice(
        ("Nothing, when that was meant. Otherwise try again:", "$ kubectl rekindle retry {job}{scope}")
    ),
    Reason.START_DEADLINE_EXCEEDED: Advice(
        (
            "Events and `kubectl rekindle top` show what kept it waiting: too few nodes, or a full Engine. Give "
            "the next job a longer startDeadlineSeconds, or a higher priority.",
        ),
        retry=True,
    ),
    Reason.ACTIVE_DEADLINE_EXCEEDED: Advice(
        (
            "Give the next job a longer activeDeadlineSeconds, less to do (a smaller maxMegapixels), or an Engine with "
            "more processors.",
        )
    ),
    Reason.SOURCE_NOT_FOUND: Advice(
        ("Upload the photo to {source}, or make a job that names where it is. A retry alone does not help.",),
        retry=True,
    ),
    Reason.SOURCE_FORBIDDEN: Advice((_READ_RIGHTS, _EDIT_ENGINE), retry=True),
    Reason.UNREADABLE_IMAGE: Advice(
        (
            "Look at the file: it may be cut off, or no JPEG, PNG, WebP, TIFF, HEIC or AVIF image. Save it anew with "
            "an image program and make another job of that; a retry does not help.",
        )
    ),
    Reason.IMAGE_TOO_LARGE: Advice(
        (
            "Scale the photo down and make another job of that, or use an Engine that accepts more; a retry does not "
            "help.",
        )
    ),
    Reason.OUTPUT_EXISTS: Advice(
        ("A retry writes to a prefix of its own, and so helps. Two jobs with one output.prefix always end so.",),
        retry=True,
    ),
    Reason.OUTPUT_FORBIDDEN: Advice(
        (
            "Let the Engine's service account or the key in its Secret write under {output}/ (s3:PutObject).",
            _EDIT_ENGINE,
        ),
        retry=True,
    ),
    Reason.INVALID_TASK: Advice(
        ("Install an engine image that fits the operator's version:", _EDIT_ENGINE), retry=True
    ),
    Reason.INPUT_REFUSED: Advice(
        (
            "The engine's message says what is wrong with the photo or the parameters. Make another job that it can "
            "do; a retry does not help.",
            _LOGS,
        )
    ),
    Reason.TERMINATED: Advice(
        (
            f"{_RETRIES_ALONE} When it happens again and again, see what stops its pods:",
            "$ kubectl get events{scope} --sort-by=.lastTimestamp",
        ),
        retry=True,
    ),
    Reason.STORAGE_UNAVAILABLE: Advice(
        (
            "Check that S3 works, and that the Engine's AWS_ENDPOINT_URL_S3 can be reached from pods (NetworkPolicy).",
            _LOGS,
        ),
        retry=True,
    ),
    Reason.OUT_OF_MEMORY: Advice(
        ("Raise resources.limits.memory of the Engine, or ask for less (a smaller maxMegapixels):", _EDIT_ENGINE),
        retry=True,
    ),
    Reason.TRANSIENT_FAILURE: Advice(
        ("The engine says that another try may do. Its log says more:", _LOGS), retry=True
    ),
    Reason.ENGINE_ERROR: Advice(
        ("This is a fault of the engine, not of the photo. Tell who maintains it, with the log:", _LOGS), retry=True
    ),
    Reason.KILLED: Advice(
        (
            "Mostly a node that ran out of memory, or somebody's kill. Compare the Engine's memory limit with what the "
            "node has:",
            "$ kubectl get engine {engine}{scope} -o yaml",
        ),
        retry=True,
    ),
    Reason.EVICTED: Advice(
        (f"{_RETRIES_ALONE} When nodes often run short, let the Engine ask for what it needs (resources.requests).",),
        retry=True,
    ),
    Reason.PREEMPTED: Advice(
        (f"{_RETRIES_ALONE} A higher priorityClassName keeps the next job from that.",), retry=True
    ),
    Reason.NODE_LOST: Advice((f"{_RETRIES_ALONE} See how the nodes are:", "$ kubectl get nodes"), retry=True),
    Reason.DISRUPTED: Advice((_RETRIES_ALONE,), retry=True),
    Reason.POD_DELETED: Advice(
        (
            "Somebody, or a program, deletes pods of this namespace. To end a job, cancel it instead:",
            "$ kubectl rekindle cancel {job}{scope}",
        ),
        retry=True,
    ),
    Reason.RETRIES_EXHAUSTED: Advice(("Mend what made the last attempt fail.",), retry=True),
    Reason.TOO_MANY_DISRUPTIONS: Advice(
        (
            "The nodes are not steady enough for this job: give the Engine others (nodeSelector), or a "
            "priorityClassName that is not preempted.",
            "$ kubectl get nodes",
        ),
        retry=True,
    ),
    Reason.RESULT_MISSING: Advice(
        ("The engine does not follow its contract (docs/engines.md). Tell who maintains it, with the log:", _LOGS),
        retry=True,
    ),
    Reason.CHILD_REFUSED: Advice(
        (
            "The message has the API server's words: correct the Engine, the quota or the policy that it names.",
            _EDIT_ENGINE,
        ),
        retry=True,
    ),
    Reason.QUOTA_EXCEEDED: Advice(
        ("Wait for other jobs to end, or raise the quota:", "$ kubectl describe resourcequota{scope}")
    ),
    Reason.POD_REFUSED: Advice(
        (
            "The message has the API server's words: correct the Engine, or the Pod Security level or LimitRange of "
            "the namespace.",
            _EDIT_ENGINE,
        )
    ),
    Reason.NAMESPACE_TERMINATING: Advice(("Make the job in another namespace.",)),
    Reason.INVALID_STATUS: Advice(
        ("Install the CustomResourceDefinitions of the operator's version: see who runs it.",), retry=True
    ),
    Reason.CHILD_CONFLICT: Advice(
        ("Find the foreign Job that the message names, and remove or rename it:", "$ kubectl get jobs{scope}"),
        retry=True,
    ),
    Reason.CHILD_LOST: Advice(
        (
            "Somebody, or a program, deletes Jobs of this namespace. To end a job, cancel it instead:",
            "$ kubectl rekindle cancel {job}{scope}",
        ),
        retry=True,
    ),
    Reason.BUCKET_NOT_ALLOWED: Advice(
        ("Use a bucket that the operator's settings allow, or ask who runs it to allow this one.",)
    ),
    Reason.SERVICE_ACCOUNT_NOT_ALLOWED: Advice(
        (
            "Give the Engine a service account that the operator's settings allow; the job then starts by itself:",
            _EDIT_ENGINE,
        )
    ),
    Reason.SCRATCH_FULL: Advice(("Raise scratchSize of the Engine:", _EDIT_ENGINE), retry=True),
    Reason.NODE_REFUSED: Advice(
        (
            "The message says what the node lacks. See how the nodes are, and what the Engine asks for:",
            "$ kubectl describe nodes",
            _EDIT_ENGINE,
        ),
        retry=True,
    ),
}

UNSEEN = Advice(
    (
        "Nothing in the first seconds. When it lasts, the operator does not run, or does not serve this namespace:",
        "$ kubectl get pods --all-namespaces | grep rekindle",
    )
)
UNKNOWN = Advice(("Install the version of kubectl-rekindle that belongs to the operator to learn more.",))
RETRY = ("Then try again:", "$ kubectl rekindle retry {job}{scope}")


def filled(steps: tuple[str, ...], names: Names) -> tuple[str, ...]:
    """Return steps with the names put in."""
    return tuple(step.format_map(asdict(names)) for step in steps)
