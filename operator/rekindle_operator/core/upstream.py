"""The photo that a job reads: named by the job itself, or the result of the job that it waits for."""

from rekindle_crds import JobStatus, OutputName, Phase, Reason, SourceLocation, Waiting
from rekindle_operator.core.kinds import KINDS, JobResource, Upstream
from rekindle_operator.core.observed import Observed
from rekindle_operator.core.status import Standing, waiting_for


def source_of(observed: Observed) -> SourceLocation | Standing | Upstream:
    """Return the photo, or where the job stands without it, or the other job when that has to be read first.

    A photo that was found once stands in the status, so that the other job may be deleted from then on.
    """
    named = observed.kind.source(observed.job)
    if not isinstance(named, Upstream):
        return named
    if observed.status.source is not None:
        return observed.status.source
    if observed.source is None:
        return named
    if observed.source.job is None:
        return _absent(named, observed.status)
    return _result(named, observed.source.job)


def _absent(named: Upstream, status: JobStatus) -> Standing:
    if status.waiting is not None and status.waiting.reason == Reason.WAITING_FOR_RESTORE_JOB:
        message = f"{named.kind} {named.name} was deleted before it ended."
        return Standing(Phase.FAILED, Reason.RESTORE_JOB_GONE, message)
    message = f"There is no {named.kind} {named.name} in this namespace."
    return waiting_for(Waiting(reason=Reason.RESTORE_JOB_NOT_FOUND, message=message))


def _result(named: Upstream, job: JobResource) -> SourceLocation | Standing:
    status = job.status
    if status.phase == Phase.CANCELLED:
        return Standing(Phase.FAILED, Reason.RESTORE_JOB_CANCELLED, f"{named.kind} {named.name} was cancelled.")
    if status.phase == Phase.FAILED:
        end = next((condition for condition in status.conditions if condition.type == "Succeeded"), None)
        words = f": {end.reason}: {end.message}" if end is not None else ""
        return Standing(Phase.FAILED, Reason.RESTORE_JOB_FAILED, f"{named.kind} {named.name} failed{words}")
    if status.phase == Phase.SUCCEEDED and status.result is not None:
        key = next((output.key for output in status.result.outputs if output.name == OutputName.RESULT), None)
        if key is not None:
            return SourceLocation(bucket=KINDS[named.kind].output(job).bucket, key=key)
        message = f"{named.kind} {named.name} succeeded without a full-size result."
        return Standing(Phase.FAILED, Reason.RESTORE_JOB_FAILED, message)
    message = f"{named.kind} {named.name} has not ended."
    return waiting_for(Waiting(reason=Reason.WAITING_FOR_RESTORE_JOB, message=message))
