"""The metrics that the operator exposes. None has a label for a single job."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_LATENCIES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Sample = Callable[[], Mapping[str, float]]


class _Gauge(Collector):
    """A gauge that is read when it is scraped."""

    def __init__(self, name: str, documentation: str, label: str, sample: Sample) -> None:
        self._name, self._documentation, self._label, self._sample = name, documentation, label, sample

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._documentation, labels=[self._label] if self._label else [])
        for label, value in self._sample().items():
            family.add_metric([label] if self._label else [], value)
        yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()


class Metrics:
    """All metrics of one operator, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "rekindle_reconcile_seconds",
            "Time to observe, decide and apply for one job.",
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self.reconcile_errors = Counter(
            "rekindle_reconcile_errors", "Reconciliations that failed and are retried.", registry=self.registry
        )
        self.api_requests = Counter(
            "rekindle_api_requests",
            "Requests to the API server by verb and HTTP code; code 0 is no answer.",
            ["verb", "code"],
            registry=self.registry,
        )
        self.attempts = Counter(
            "rekindle_attempts", "Ended attempts by kind of job and reason.", ["kind", "reason"], registry=self.registry
        )
        self.jobs_finished = Counter(
            "rekindle_jobs_finished", "Finished jobs by kind, phase and reason.", ["kind", "phase", "reason"],
            registry=self.registry,
        )  # fmt: skip
        self.watch_restarts = Counter(
            "rekindle_watch_restarts", "Restarts of the watch layer after an error.", registry=self.registry
        )

    def gauge(self, name: str, documentation: str, sample: Sample, *, label: str = "") -> None:
        """Expose what `sample` returns, by label value; the label value is empty for a gauge without label."""
        self.registry.register(_Gauge(name, documentation, label, sample))
