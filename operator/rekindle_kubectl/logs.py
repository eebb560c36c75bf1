"""`logs`: what the pod of a job printed."""

import argparse
import sys
import time
from collections.abc import Iterator

from rekindle_crds import Attempt, Label
from rekindle_kubectl.cluster import PODS, Cluster
from rekindle_kubectl.errors import ClusterError, PluginError
from rekindle_kubectl.jobs import Job, Json, reference, resource_of
from rekindle_kubectl.words import message_of, reason_of

_POLL_SECONDS = 0.5
_NO_LOG_YET = {400, 404}


def run(options: argparse.Namespace, cluster: Cluster) -> int:
    """Print the log of the current or last pod, or what is left of it.

    Raises:
        PluginError: No container of the job has started.
    """
    job = cluster.find(options.name)
    while True:
        pod = _pod(cluster, job)
        try:
            if pod is not None:
                lines = cluster.log(pod["metadata"]["name"], follow=options.follow)
                _print(lines, _title(job, pod))
                return 0
        except ClusterError as error:
            if error.status not in _NO_LOG_YET:
                raise
        if not options.follow or _ended(job):
            break
        time.sleep(_POLL_SECONDS)
        job = _again(cluster, job)
    return _print_kept(job)


def _pod(cluster: Cluster, job: Job) -> Json | None:
    """Return the newest pod of a job."""
    pods, _ = cluster.items(PODS, labelSelector=f"{Label.JOB_UID}={job.metadata.uid}")
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _again(cluster: Cluster, job: Job) -> Job:
    found = cluster.job(resource_of(job), job.metadata.name)
    if found is None:
        raise PluginError(f"{reference(job)} was deleted.")
    return found


def _ended(job: Job) -> bool:
    return job.status.phase is not None and job.status.phase.finished


def _print(lines: Iterator[str], title: str) -> None:
    first = next(lines, None)
    print(title, file=sys.stderr, flush=True)
    if first is not None:
        print(first, flush=True)
    for line in lines:
        print(line, flush=True)


def _print_kept(job: Job) -> int:
    """Print the lines that the status keeps of the last attempt that has some."""
    kept = next((each for each in reversed(job.status.attempts) if each.log_tail), None)
    if kept is None or kept.log_tail is None:
        why = f"{reason_of(job)}: {message_of(job)}" if reason_of(job) else "the operator has not seen the job yet"
        pods = job.status.attempt or 0
        gone = "its pod is gone, and it left no last lines" if pods else "no container has started"
        raise PluginError(f"There is no log of {reference(job)}: {gone}. It stands at {why}")
    print(f"== the last lines of {_words(kept)}; the pod is gone", file=sys.stderr, flush=True)
    for line in kept.log_tail:
        print(line)
    return 0


def _title(job: Job, pod: Json) -> str:
    attempt = next((each for each in job.status.attempts if each.pod_uid == pod["metadata"]["uid"]), None)
    if attempt is not None:
        return f"== {_words(attempt)}"
    return f"== pod {pod['metadata']['name']} on node {pod['spec'].get('nodeName', '?')}"


def _words(attempt: Attempt) -> str:
    node = f" on node {attempt.node_name}" if attempt.node_name else ""
    end = f", {attempt.reason}" if attempt.reason else ""
    return f"pod {attempt.pod_name} (attempt {attempt.number}{node}{end})"
