"""`why`: reads a job and what belongs to it, and prints the explanation."""

import argparse
import json
import shlex
from dataclasses import asdict
from datetime import UTC, datetime

from pydantic import ValidationError

from rekindle_crds import AnimationJob, Engine, Operation
from rekindle_crds.crd import ENGINE, RESTORE_JOB
from rekindle_kubectl.cluster import EVENTS, Cluster
from rekindle_kubectl.errors import ClusterError
from rekindle_kubectl.explain import Occurrence, Situation, explain
from rekindle_kubectl.jobs import Job, Json
from rekindle_kubectl.page import print_page
from rekindle_kubectl.screen import console_for


def run(options: argparse.Namespace, cluster: Cluster) -> int:
    """Explain one job."""
    explanation = explain(_situation(options, cluster, cluster.find(options.name)), datetime.now(UTC))
    if options.output == "json":
        print(json.dumps(asdict(explanation), indent=2))
    else:
        print_page(explanation, console_for())
    return 0


def _situation(options: argparse.Namespace, cluster: Cluster, job: Job) -> Situation:
    """Read what belongs to a job; what may not be read is left out and said."""
    unread: list[str] = []
    upstream = None
    if isinstance(job, AnimationJob) and job.spec.source.restore_job_name is not None:
        upstream = cluster.job(RESTORE_JOB, job.spec.source.restore_job_name)
    return Situation(
        job=job,
        engine=_engine(cluster, job, unread),
        upstream=upstream,
        events=_events(cluster, job, unread),
        scope=_scope(options),
        unread=unread,
    )


def _engine(cluster: Cluster, job: Job, unread: list[str]) -> Engine | None:
    """Return the Engine that a job names, or the one that it gets when it names none."""
    name = job.status.engine_name or job.spec.engine_name
    try:
        if name is not None:
            return Engine.model_validate(cluster.get(ENGINE.plural, name))
        engines = [Engine.model_validate(body) for body in cluster.items(ENGINE.plural)[0]]
    except ClusterError as error:
        if error.status != 404:
            unread.append(f"Engine: {error}")
        return None
    except ValidationError:
        unread.append("Engine: of a form that this version does not understand")
        return None
    operation = Operation.ANIMATE if isinstance(job, AnimationJob) else Operation.RESTORE
    defaults = [engine for engine in engines if engine.spec.default and operation in engine.spec.operations]
    return min(defaults, key=lambda engine: str(engine.metadata.creation_timestamp), default=None)


def _events(cluster: Cluster, job: Job, unread: list[str]) -> list[Occurrence]:
    try:
        events, _ = cluster.items(EVENTS, fieldSelector=f"involvedObject.uid={job.metadata.uid}")
    except ClusterError as error:
        unread.append(f"Events: {error}")
        return []
    return [_occurrence(event) for event in events]


def _occurrence(event: Json) -> Occurrence:
    moment = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return Occurrence(
        type=event.get("type") or "Normal",
        reason=event.get("reason") or "",
        message=event.get("message") or "",
        moment=datetime.fromisoformat(moment) if moment else None,
    )


def _scope(options: argparse.Namespace) -> str:
    """Return the options that were given to choose cluster and namespace, for the commands that are recommended."""
    given = {"-n": options.namespace, "--context": options.context, "--kubeconfig": options.kubeconfig}
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)
