"""The metrics that the operator exposes. None has a label for a single job."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rekindle_crds import Phase
from rekindle_operator.core.kinds import KINDS

_VERSION = version("rekindle")
_LATENCIES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DURATIONS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)

Values = Mapping[tuple[str, ...], float]
"""Values of a gauge by its label values."""


class _Gauge(Collector):
    """A gauge that is read when it is scraped."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], read: Callable[[], Values]) -> None:
        self._name, self._documentation, self._labels, self._read = name, documentation, labels, read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, value in self._read().items():
            family.add_metric(values, value)
        yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()


class Metrics:
    """All metrics of one operator, in a registry of its own."""

    def __init__(self) -> None:
        # A series with the time of birth beside every counter and histogram is of no use to Prometheus.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # published without types
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.gauges("rekindle_build_info", "Version of the operator; always 1.", ("version",), lambda: {(_VERSION,): 1})
        self.reconcile_seconds = Histogram(
            "rekindle_reconcile_seconds",
            "Time to observe, decide and apply for one job.",
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self.reconcile_errors = self._counter(
            "rekindle_reconcile_errors", "Reconciliations that failed and are retried."
        )
        self.api_requests = self._counter(
            "rekindle_api_requests",
            "Requests to the API server by verb and HTTP code; code 0 is no answer.",
            "verb",
            "code",
        )
        self.status_writes = self._counter("rekindle_status_writes", "Statuses written, by kind of job.", "kind")
        self.events_posted = self._counter("rekindle_events_posted", "Events posted about jobs.")
        self.events_dropped = self._counter(
            "rekindle_events_dropped",
            "Events that were not posted, by cause: overflow of the queue, refused by the API server, or not leading.",
            "cause",
        )
        for cause in ("overflow", "refused", "not leading"):
            self.events_dropped.labels(cause)
        self.attempts = self._counter(
            "rekindle_attempts", "Ended attempts by kind of job and reason.", "kind", "reason"
        )
        self.jobs_finished = self._counter(
            "rekindle_jobs_finished", "Finished jobs by kind, phase and reason.", "kind", "phase", "reason"
        )
        self.watch_restarts = self._counter("rekindle_watch_restarts", "Restarts of the watch layer after an error.")
        self.wait_seconds = self._durations(
            "rekindle_job_wait_seconds", "From a job's creation to its first container start, told at its end."
        )
        self.run_seconds = self._durations(
            "rekindle_job_run_seconds", "Time with a running container over all attempts of a job, told at its end."
        )
        self.total_seconds = self._durations(
            "rekindle_job_duration_seconds", "From a job's creation to its end, told at its end."
        )

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Expose a gauge without labels; `read` returns its value at each scrape."""
        self.registry.register(_Gauge(name, documentation, (), lambda: {(): read()}))

    def gauges(self, name: str, documentation: str, labels: Sequence[str], read: Callable[[], Values]) -> None:
        """Expose a gauge with labels; `read` returns its values by label values, in the order of `labels`."""
        self.registry.register(_Gauge(name, documentation, labels, read))

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _durations(self, name: str, documentation: str) -> Histogram:
        """A histogram by kind and final phase, whose series exist from the start: a rate needs a zero to begin at."""
        histogram = Histogram(name, documentation, ("kind", "phase"), buckets=_DURATIONS, registry=self.registry)
        for kind in KINDS:
            for phase in Phase:
                if phase.finished:
                    histogram.labels(kind, phase.value)
        return histogram
