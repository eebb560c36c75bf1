"""A new job in place of one that failed or was cancelled."""

import re

from rekindle_crds import Label, Phase
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import ClusterError, PluginError
from rekindle_kubectl.jobs import Job, Json, read, reference, resource_of

_NAME = re.compile(r"(?P<base>.+?)(-retry-(?P<number>\d+))?")
_PREFIX = re.compile(r"(?P<base>.+?)(-retry-\d+)?")
_LONGEST_NAME = 253
_LONGEST_PREFIX = 256
_CONFLICT = 409
_DEAD_SOURCE = {"RestoreJobFailed", "RestoreJobCancelled", "RestoreJobGone"}


def retry(cluster: Cluster, job: Job) -> tuple[Job, bool]:
    """Return the job that tries again what another one did not do, and whether it was made now.

    The new name is the old one with -retry-1, -retry-2 and so on. A retry that goes on or has succeeded is returned as
    it is: asking twice makes one job.
    """
    resource = resource_of(job)
    while True:
        refuse_source(job)
        body = again(job)
        name = body["metadata"]["name"]
        following = cluster.job(resource, name)
        if following is None:
            try:
                return read({"kind": resource.kind, **cluster.create(resource.plural, body)}), True
            except ClusterError as error:
                if error.status != _CONFLICT:
                    raise
                continue
        if following.status.phase in {Phase.FAILED, Phase.CANCELLED}:
            job = following
            continue
        return following, False


def again(job: Job) -> Json:
    """Return the job that does what another one was to do: a new name, an output of its own, and nothing that stops it.

    Of the labels only the owner's is kept: the others tie the old job to whoever made it.
    """
    found = _NAME.fullmatch(job.metadata.name)
    base, number = (found["base"], int(found["number"] or 0)) if found else (job.metadata.name, 0)
    suffix = f"-retry-{number + 1}"
    prefix = _PREFIX.fullmatch(job.spec.output.prefix)
    spec = job.spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"suspend", "cancel"})
    spec["output"]["prefix"] = (prefix["base"] if prefix else job.spec.output.prefix)[: _LONGEST_PREFIX - len(suffix)]
    spec["output"]["prefix"] += suffix
    owner = job.metadata.labels.get(Label.OWNER)
    return {
        "apiVersion": job.api_version,
        "kind": job.kind,
        "metadata": {
            "name": base[: _LONGEST_NAME - len(suffix)].rstrip("-.") + suffix,
            **({"labels": {Label.OWNER.value: owner}} if owner else {}),
        },
        "spec": spec,
    }


def refuse_source(job: Job) -> None:
    """Refuse to retry an animation of a RestoreJob that will never have a result.

    Raises:
        PluginError: It is one.
    """
    known = next((each.reason for each in job.status.conditions if each.type == "Succeeded"), "")
    if known in _DEAD_SOURCE and job.kind == "AnimationJob":
        upstream = f"rjob/{job.spec.source.restore_job_name}"
        raise PluginError(
            f"{reference(job)} was to animate the result of {upstream}, and that has none. Retry the restoration and "
            f"animate its result: kubectl rekindle retry {upstream} --wait, then kubectl rekindle animate "
            f"{upstream}-retry-1"
        )
