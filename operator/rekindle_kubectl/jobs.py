"""The two kinds of job, and how one is named on the command line."""

from typing import Any

from pydantic import ValidationError

from rekindle_crds import GROUP, AnimationJob, RestoreJob
from rekindle_crds.crd import ANIMATION_JOB, RESTORE_JOB, Resource
from rekindle_kubectl.errors import ClusterError, PluginError, UsageError

Job = RestoreJob | AnimationJob
Json = dict[str, Any]

KINDS = (RESTORE_JOB, ANIMATION_JOB)
_BY_KIND = {resource.kind: resource for resource in KINDS}
_BY_WORD = {
    word: resource
    for resource in KINDS
    for singular in (resource.kind.lower(), resource.plural)
    for word in (singular, f"{singular}.{GROUP}", *resource.short_names)
}


def read(body: Json) -> Job:
    """Return a job from what the API server sent.

    Raises:
        PluginError: It is of a form that this version does not know.
    """
    model = RestoreJob if body.get("kind", RESTORE_JOB.kind) == RESTORE_JOB.kind else AnimationJob
    try:
        return model.model_validate(body)
    except ValidationError as error:
        name = body.get("metadata", {}).get("name", "?")
        place = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
        raise PluginError(
            f"{model.__name__} {name} has a {place} that this version of kubectl-rekindle does not understand: "
            "install the version of the operator."
        ) from error


def resource_of(job: Job) -> Resource:
    """Return the resource that a job is of."""
    return _BY_KIND[job.kind]


def reference(job: Job) -> str:
    """Return the shortest name that is not ambiguous, for example rjob/grandmother."""
    return refer(resource_of(job), job.metadata.name)


def refer(resource: Resource, name: str) -> str:
    """Return the shortest name of a job that is not ambiguous."""
    return f"{resource.short_names[0]}/{name}"


def parse_name(word: str) -> tuple[tuple[Resource, ...], str]:
    """Return the kinds that a NAME can mean, and the name itself.

    Raises:
        UsageError: It names no kind of job.
    """
    kind, slash, name = word.rpartition("/")
    if not slash:
        return KINDS, word
    resource = _BY_WORD.get(kind.lower())
    if resource is None or not name:
        known = ", ".join(f"{refer(each, 'NAME')}" for each in KINDS)
        raise UsageError(f"{word!r} names no job: write {known} or just NAME.")
    return (resource,), name


def not_found(word: str, namespace: str) -> PluginError:
    """Return the error for a name that no job has."""
    kinds, name = parse_name(word)
    what = " or ".join(resource.kind for resource in kinds)
    return ClusterError(404, f"There is no {what} {name!r} in namespace {namespace!r}. See: kubectl rekindle top --all")
