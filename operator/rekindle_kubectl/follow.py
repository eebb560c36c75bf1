"""Follows jobs until all have ended."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rekindle_crds import Phase
from rekindle_crds.crd import Resource
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.feed import OPEN_JOBS, Broken, Changed, Feed, Gone, Listed, News, Topic
from rekindle_kubectl.jobs import Job, read, refer, reference, resource_of
from rekindle_kubectl.screen import Screen
from rekindle_kubectl.words import message_of, reason_of

_TICK = 0.5
"""Seconds for which news are awaited in one go: a person who presses Ctrl-C waits no longer."""


@dataclass
class _Followed:
    """The jobs that have not ended, by plural and name."""

    screen: Screen
    ended: Callable[[Job], bool]
    open: dict[tuple[str, str], Job] = field(default_factory=dict)
    failed: int = 0

    def take(self, resource: Resource, job: Job) -> None:
        """Take note of a job as it is now."""
        key = (resource.plural, job.metadata.name)
        self.open[key] = job
        if job.status.phase is None or not job.status.phase.finished:
            self.screen.show(job)
            return
        del self.open[key]
        self.screen.remove(job)
        if not self.ended(job):
            self.failed += 1

    def lose(self, resource: Resource, name: str) -> None:
        """Take note that a job was deleted."""
        self.screen.remove(self.open.pop((resource.plural, name)))
        self.screen.say(f"✘ {refer(resource, name)} was deleted", "red")
        self.failed += 1


def follow(
    cluster: Cluster, jobs: Sequence[Job], screen: Screen, ended: Callable[[Job], bool], seconds: float | None = None
) -> bool:
    """Show jobs until all have ended, and return whether all is well.

    Args:
        cluster: Where they run.
        jobs: The jobs as they were last read.
        screen: Where they are shown.
        ended: Told each job that ended; returns whether that is well.
        seconds: After so long it is given up; the jobs run on.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    followed = _Followed(screen, ended)
    for job in jobs:
        followed.take(resource_of(job), job)
    feed = Feed(cluster, _topics(followed))
    try:
        while followed.open:
            if deadline is not None and time.monotonic() > deadline:
                names = " ".join(reference(job) for job in followed.open.values())
                screen.say(f"Not ended after {seconds:.0f} s; still going on: {names}", "yellow")
                return False
            news = feed.next(_TICK)
            if news is not None:
                _hear(cluster, followed, news)
    finally:
        feed.close()
    return followed.failed == 0


def tell_end(screen: Screen, job: Job) -> bool:
    """Say in a line how a job ended, and return whether it succeeded."""
    if job.status.phase == Phase.SUCCEEDED:
        screen.say(f"✔ {reference(job)} succeeded", "green")
        return True
    word = "was cancelled" if job.status.phase == Phase.CANCELLED else f"failed: {reason_of(job)}, {message_of(job)}"
    screen.say(f"✘ {reference(job)} {word}", "red")
    screen.say(f"  kubectl rekindle why {reference(job)}")
    return False


def _topics(followed: _Followed) -> list[Topic]:
    """Watch the one job, or where there are several of a kind, all of the kind that have not ended."""
    names: dict[str, list[str]] = {}
    for plural, name in followed.open:
        names.setdefault(plural, []).append(name)
    return [
        Topic(plural, {"fieldSelector": f"metadata.name={each[0]}"} if len(each) == 1 else OPEN_JOBS)
        for plural, each in names.items()
    ]


def _hear(cluster: Cluster, followed: _Followed, news: News) -> None:
    resources = {resource.plural: resource for resource in map(resource_of, followed.open.values())}
    resource = resources.get(news.plural)
    if resource is None:
        return
    if isinstance(news, Broken):
        followed.screen.say(f"{news.error} Trying again.", "yellow")
    elif isinstance(news, Changed):
        job = read({"kind": resource.kind, **news.object})
        if (news.plural, job.metadata.name) in followed.open:
            followed.take(resource, job)
    elif isinstance(news, Gone):
        _look(cluster, followed, resource, news.name)
    elif isinstance(news, Listed):
        listed = {body["metadata"]["name"]: body for body in news.objects}
        for plural, name in list(followed.open):
            if plural == news.plural and name in listed:
                followed.take(resource, read({"kind": resource.kind, **listed[name]}))
            elif plural == news.plural:
                _look(cluster, followed, resource, name)


def _look(cluster: Cluster, followed: _Followed, resource: Resource, name: str) -> None:
    """Read a job that left the watch: it has ended, or was deleted."""
    if (resource.plural, name) not in followed.open:
        return
    job = cluster.job(resource, name)
    if job is None:
        followed.lose(resource, name)
    else:
        followed.take(resource, job)
