"""Every outcome, counted with its bytes: the one source of the ledger and the dashboard."""

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from edge.decide import Outcome

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counters:
    """The metrics of one edge. Labels take values from closed sets only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = self._counter(
            "edge_answers", "Answers to clients", "property", "outcome", "reason"
        )
        self._client_bytes = self._counter(
            "edge_client_bytes", "Body bytes sent to clients", "property", "outcome"
        )
        self._middle_mile = self._counter(
            "edge_middle_mile_bytes", "Body bytes hauled from the origin", "property"
        )
        self._avoided = self._counter(
            "edge_avoided_bytes", "Bytes of originals that rehydration did not haul", "property"
        )
        self._coalesced = self._counter(
            "edge_coalesced", "Answers that shared another request's fill", "property"
        )
        self._regions = self._counter(
            "edge_region_calls", "Calls to regions by what came of them", "region", "result"
        )
        self._hedges = self._counter(
            "edge_hedges", "Second peers asked because a region was late: each costs", "peer"
        )
        self._held_records = self._counter(
            "edge_held_records", "Records from what the store said last, while it was gone"
        )
        self._purged = self._counter("edge_purged", "Answers dropped from the cache by purges")
        self._seconds = Histogram(
            "edge_answer_seconds",
            "Time from a request's head to the last byte handed to the connection",
            ("outcome",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        # Looking labels up costs as much as a cache hit; their sets are small.
        self._answered = cache(self._answered_children)

    def answered(
        self, property: str, outcome: Outcome, reason: str, body_bytes: int, seconds: float
    ) -> None:
        answers, sent, took = self._answered(property, outcome, reason)
        answers.inc()
        sent.inc(body_bytes)
        took.observe(seconds)

    def hauled(self, property: str, body_bytes: int) -> None:
        self._middle_mile.labels(property).inc(body_bytes)

    def avoided(self, property: str, body_bytes: int) -> None:
        self._avoided.labels(property).inc(body_bytes)

    def coalesced(self, property: str) -> None:
        self._coalesced.labels(property).inc()

    def region_called(self, region: str, result: str) -> None:
        self._regions.labels(region, result).inc()

    def hedged(self, peer: str) -> None:
        self._hedges.labels(peer).inc()

    def record_held(self) -> None:
        self._held_records.inc()

    def purged(self, entries: int) -> None:
        self._purged.inc(entries)

    def watch(self, name: str, text: str, read: Callable[[], float], **labels: str) -> None:
        """A gauge read when it is scraped; call once per name with all its label values."""
        gauge = self._gauge(name, text, tuple(labels))
        (gauge.labels(**labels) if labels else gauge).set_function(read)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    @cache  # noqa: B019 - as many entries as gauges, and they live as long as this
    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _answered_children(
        self, property: str, outcome: Outcome, reason: str
    ) -> tuple[Counter, Counter, Histogram]:
        return (
            self._answers.labels(property, outcome, reason),
            self._client_bytes.labels(property, outcome),
            self._seconds.labels(outcome),
        )
