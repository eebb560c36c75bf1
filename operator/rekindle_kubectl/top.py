"""`top`: a table of jobs and engines that follows what happens."""

import argparse
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rekindle_crds import Engine, Phase
from rekindle_crds.crd import ENGINE, Resource
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import ClusterError, UsageError
from rekindle_kubectl.feed import OPEN_JOBS, Broken, Changed, Feed, Gone, Listed, News, Topic
from rekindle_kubectl.jobs import KINDS, Job, Json, read
from rekindle_kubectl.screen import console_for
from rekindle_kubectl.table import ENGINE_TITLES, JOB_TITLES, as_json, engine_cells, job_row, ordered, plain

_RESOURCES: dict[str, Resource] = {resource.plural: resource for resource in KINDS}
_SHOWN_SECONDS = 1.0
_KEPT = 200
"""At most this many jobs that ended meanwhile are kept."""
_STYLES = {
    Phase.RUNNING: "cyan",
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "red",
    Phase.CANCELLED: "yellow",
    Phase.SUSPENDED: "yellow",
}


@dataclass
class _View:
    """What is known of the namespace."""

    cluster: Cluster
    everything: bool
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)

    def topics(self) -> list[Topic]:
        """Return what has to be watched."""
        query = {} if self.everything else OPEN_JOBS
        return [*(Topic(plural, query) for plural in _RESOURCES), Topic(ENGINE.plural)]

    def hear(self, news: News) -> None:
        """Take note of news."""
        if isinstance(news, Broken):
            self.trouble[news.plural] = str(news.error)
            return
        self.trouble.pop(news.plural, None)
        if isinstance(news, Listed):
            self._list(news)
        elif isinstance(news, Changed):
            self._take(news.plural, news.object)
        else:
            self._lose(news)

    def _list(self, news: Listed) -> None:
        names = {body["metadata"]["name"] for body in news.objects}
        for plural, name in list(self.jobs):
            if plural == news.plural and name not in names and not _ended(self.jobs[plural, name]):
                self._lose(Gone(plural, name))
        if news.plural == ENGINE.plural:
            self.engines = {name: engine for name, engine in self.engines.items() if name in names}
        for body in news.objects:
            self._take(news.plural, body)

    def _take(self, plural: str, body: Json) -> None:
        if plural != ENGINE.plural:
            job = read({"kind": _RESOURCES[plural].kind, **body})
            self.jobs[plural, job.metadata.name] = job
            return
        try:
            engine = Engine.model_validate(body)
        except ValidationError:
            self.trouble[plural] = f"Engine {body['metadata']['name']} is of a form that this version does not know."
        else:
            self.engines[engine.metadata.name] = engine

    def _lose(self, news: Gone) -> None:
        """An engine is deleted; a job is, too, or it has ended and does not fit the query any more."""
        self.engines.pop(news.name, None) if news.plural == ENGINE.plural else None
        if news.plural not in _RESOURCES:
            return
        self.jobs.pop((news.plural, news.name), None)
        if self.everything:
            return
        try:
            job = self.cluster.job(_RESOURCES[news.plural], news.name)
        except ClusterError as error:
            self.trouble[news.plural] = str(error)
            return
        if job is not None:
            self.jobs[news.plural, news.name] = job
        for old in [key for key, each in self.jobs.items() if _ended(each)][:-_KEPT]:
            del self.jobs[old]


def run(options: argparse.Namespace, cluster: Cluster) -> int:
    """Show the table, once or until Ctrl-C.

    Raises:
        UsageError: JSON is asked for without --once.
    """
    if options.output is not None and not options.once:
        raise UsageError("-o json needs --once.")
    view = _View(cluster, options.all)
    console = console_for()
    if options.once or not console.is_terminal:
        for topic in view.topics():
            objects, _ = cluster.items(topic.plural, **topic.query)
            view.hear(Listed(topic.plural, tuple(objects)))
        print(_once(view, options.output))
        return 0
    feed = Feed(cluster, view.topics())
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(_picture(view, console.height), refresh=True)
                _hear_all(view, feed)
    except KeyboardInterrupt:
        console.print(_picture(view, console.height), soft_wrap=False)
        return 0
    finally:
        feed.close()


def _hear_all(view: _View, feed: Feed) -> None:
    """Take note of what happened until the next picture is due: one for any number of news."""
    news = feed.next(_SHOWN_SECONDS)
    while news is not None:
        view.hear(news)
        news = feed.next(0)


def _ended(job: Job) -> bool:
    return job.status.phase is not None and job.status.phase.finished


def _once(view: _View, form: str | None) -> str:
    now, jobs, engines = datetime.now(UTC), ordered(view.jobs.values()), _engines(view)
    if form == "json":
        return json.dumps(as_json(jobs, engines, now), indent=2)
    upper = plain(ENGINE_TITLES, [engine_cells(engine) for engine in engines]) if engines else "No engines."
    none = "No jobs." if view.everything else "No jobs that have not ended; --all shows the others."
    lower = plain(JOB_TITLES, [job_row(job, now).cells for job in jobs]) if jobs else none
    return f"{upper}\n\n{lower}"


def _engines(view: _View) -> list[Engine]:
    return sorted(view.engines.values(), key=lambda engine: (not engine.spec.default, engine.metadata.name))


def _picture(view: _View, height: int) -> RenderableType:
    """Return the screen: trouble, a line of numbers, engines, and as many jobs as there is room for."""
    now, jobs, engines = datetime.now(UTC), ordered(view.jobs.values()), _engines(view)
    counts = {phase: sum(job.status.phase == phase for job in jobs) for phase in Phase}
    numbers = ", ".join(f"{count} {phase.lower()}" for phase, count in counts.items() if count) or "no jobs"
    head = Text.assemble((view.cluster.namespace, "bold"), f"  {numbers}", (f"   {now:%H:%M:%S} UTC", "dim"))
    trouble = [Text(words, style="yellow") for words in dict.fromkeys(view.trouble.values())]
    upper = _table(ENGINE_TITLES)
    for engine in engines:
        upper.add_row(*engine_cells(engine))
    room = max(3, height - len(engines) - len(trouble) - 7)
    shown = jobs[: room - 1] if len(jobs) > room else jobs
    lower = _table(JOB_TITLES)
    for job in shown:
        _add_job(lower, job, now)
    rest = [Text(f"and {len(jobs) - len(shown)} more", style="dim")] if len(shown) < len(jobs) else []
    return Group(*trouble, head, Text(""), upper, Text(""), lower, *rest)


def _table(titles: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim")
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    return table


def _add_job(table: Table, job: Job, now: datetime) -> None:
    row = job_row(job, now)
    cells: list[RenderableType] = [Text(cell) for cell in row.cells]
    cells[1] = Text(row.phase, style=_STYLES.get(job.status.phase, "") if job.status.phase is not None else "dim")
    if row.percent is not None and job.status.phase == Phase.RUNNING:
        bar = Table.grid(padding=(0, 1, 0, 0))
        bar.add_row(ProgressBar(total=100, completed=row.percent, width=12), f"{row.percent}%")
        cells[2] = bar
    table.add_row(*cells)
