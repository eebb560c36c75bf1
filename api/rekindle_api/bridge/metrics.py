"""What the bridge counts. Labels are closed sets: no id of a user, photo or attempt."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.transitions = Counter(
            "rekindle_bridge_transitions",
            "Changes of attempts, by their kind and the status after them.",
            ["kind", "status"],
            registry=self.registry,
        )
        self.orders = Counter(
            "rekindle_bridge_orders",
            "Orders tried, by kind of attempt, what was wanted and how it went.",
            ["kind", "desired", "outcome"],
            registry=self.registry,
        )
        self.failures = Counter(
            "rekindle_bridge_failures",
            "Errors that are tried again, by where they happened.",
            ["where"],
            registry=self.registry,
        )
        self.outbox_entries = Gauge("rekindle_bridge_outbox_entries", "Orders that wait.", registry=self.registry)
        self.outbox_parked = Gauge("rekindle_bridge_outbox_parked", "Orders set aside.", registry=self.registry)
        self.outbox_oldest = Gauge(
            "rekindle_bridge_outbox_oldest_seconds", "Age of the oldest order that waits.", registry=self.registry
        )
        self.webhook_events = Gauge(
            "rekindle_bridge_webhook_events", "Events of providers that wait.", registry=self.registry
        )
        self.webhook_parked = Gauge(
            "rekindle_bridge_webhook_parked", "Events of providers set aside.", registry=self.registry
        )
        self.webhook_oldest = Gauge(
            "rekindle_bridge_webhook_oldest_seconds", "Age of the oldest event that waits.", registry=self.registry
        )
        self.watch_age = Gauge(
            "rekindle_bridge_watch_age_seconds",
            "Time since the watch of this kind of attempt last said something.",
            ["kind"],
            registry=self.registry,
        )
