"""`cancel`, `suspend`, `resume`: one field of the spec; and `retry`: a new job."""

import argparse
from dataclasses import dataclass

from rekindle_crds import Phase
from rekindle_kubectl.again import retry
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import PluginError
from rekindle_kubectl.follow import follow, tell_end
from rekindle_kubectl.jobs import Job, reference, resource_of
from rekindle_kubectl.screen import open_screen, report


@dataclass(frozen=True, slots=True)
class _Change:
    field: str
    value: bool
    done: str


_CHANGES = {
    "cancel": _Change("cancel", value=True, done="is being cancelled"),
    "suspend": _Change("suspend", value=True, done="is being suspended"),
    "resume": _Change("suspend", value=False, done="goes on"),
}


def run(options: argparse.Namespace, cluster: Cluster) -> int:
    """Change each job, and return 0 when every one is as it is wanted."""
    failed = 0
    for name in options.names:
        try:
            print(_apply(cluster, cluster.find(name), _CHANGES[options.command]), flush=True)
        except PluginError as error:
            report(str(error))
            failed += 1
    return 1 if failed else 0


def run_retry(options: argparse.Namespace, cluster: Cluster) -> int:
    """Make the new job, say its name and, when asked to, follow it.

    Raises:
        PluginError: The job has not failed.
    """
    job = cluster.find(options.name)
    if job.status.phase not in {Phase.FAILED, Phase.CANCELLED}:
        stands = "has succeeded" if job.status.phase == Phase.SUCCEEDED else "has not ended"
        raise PluginError(f"{reference(job)} {stands}: only a job that failed or was cancelled is retried.")
    made, fresh = retry(cluster, job)
    with open_screen() as screen:
        screen.say(
            f"{reference(made)} {'is made' if fresh else 'exists already'}; "
            f"its result goes to s3://{made.spec.output.bucket}/{made.spec.output.prefix}/"
        )
        if not options.wait:
            return 0
        try:
            return 0 if follow(cluster, [made], screen, lambda job: tell_end(screen, job), options.timeout) else 1
        except KeyboardInterrupt:
            screen.close()
            screen.say(f"{reference(made)} goes on. To stop it: kubectl rekindle cancel {reference(made)}")
            raise


def _apply(cluster: Cluster, job: Job, change: _Change) -> str:
    """Return what there is to say of a job after the change."""
    phase = job.status.phase
    if phase is not None and phase.finished:
        if change.field == "cancel":
            return f"{reference(job)} has ended already: {phase.value}"
        raise PluginError(f"{reference(job)} has ended already: {phase.value}")
    if change.field == "suspend" and job.spec.suspend == change.value:
        return f"{reference(job)} {'is suspended already' if change.value else 'is not suspended'}"
    cluster.patch(resource_of(job).plural, job.metadata.name, {"spec": {change.field: change.value}})
    return f"{reference(job)} {change.done}"
