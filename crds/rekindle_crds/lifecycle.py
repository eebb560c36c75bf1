"""The part of a spec that is the same for every kind of job: which engine, how long, how often, and stopping."""

from typing import Annotated

from pydantic import Field, StringConstraints

from rekindle_crds.meta import DNS_LABEL, Contract, ObjectName, cel

_DAY = 86_400


class Lifecycle(Contract):
    """How a job is run, whatever it does."""

    engine_name: ObjectName | None = None
    """Name of the Engine that does the work; the namespace's default Engine for this operation when left out. A change
    takes effect as long as no pod was made."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Jobs with a higher number are admitted first where maxRunning makes jobs wait. Pods are not preempted by it."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pod, for scheduling and preemption by Kubernetes."""
    queue_name: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_LABEL)] | None = None
    """Kueue LocalQueue that admits the job instead of Rekindle: its limits count, maxRunning does not. A change takes
    effect with the next run."""
    backoff_limit: Annotated[int, Field(ge=0, le=10)] = 3
    """How many failed attempts are retried. Faults of the input are never retried; disruptions cost no retry."""
    start_deadline_seconds: Annotated[int, Field(ge=1, le=30 * _DAY)] | None = None
    """The job fails when no container has started this long after its creation, suspended time apart; waits without end
    when left out."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=7 * _DAY)] | None = None
    """The job fails when its containers have run this long in all."""
    ttl_seconds_after_succeeded: Annotated[int, Field(ge=0, le=365 * _DAY)] | None = None
    """The job is deleted this long after it succeeded."""
    ttl_seconds_after_failed: Annotated[int, Field(ge=0, le=365 * _DAY)] | None = None
    """The job is deleted this long after it failed or was cancelled."""
    suspend: bool = False
    """True stops the job's pod, or keeps it from starting, until false again. A pod that was stopped costs no retry;
    the work starts anew. Suspended time counts for no deadline."""
    cancel: Annotated[
        bool,
        Field(json_schema_extra={"x-kubernetes-validations": [cel("!oldSelf || self", "cancel cannot be taken back")]}),
    ] = False
    """True ends the job: its pod is stopped and the reason is Cancelled. It cannot be taken back."""
