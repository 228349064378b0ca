"""What is counted of every answer: a few additions each, put into the metrics' form and into the
ledger's when asked.

The client library's counters lock and look up for every increment, which is more than the rest of
a cache hit costs.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from edge.decide import Outcome
from kvsync.ledger import BOUNDS_S, Answers
from kvsync.meter import Totals


class Tally:
    """Answers of one property, family, outcome and reason, and the misses behind them.

    ``sent_bytes`` are all that clients were sent, heads included. The others are as the ledger
    tells them (:class:`kvsync.ledger.Answers`).
    """

    __slots__ = (
        "answers",
        "avoidable_bytes",
        "body_bytes",
        "buckets",
        "generate_ms",
        "middle_mile_bytes",
        "misses",
        "queue_ms",
        "seconds",
        "sent_bytes",
    )

    def __init__(self) -> None:
        self.answers = self.body_bytes = self.sent_bytes = 0
        self.misses = self.middle_mile_bytes = self.avoidable_bytes = 0
        self.seconds = self.generate_ms = self.queue_ms = 0.0
        self.buckets = [0] * (len(BOUNDS_S) + 1)

    def add(self, head_bytes: int, body_bytes: int, seconds: float) -> None:
        """Count an answer that was sent."""
        self.answers += 1
        self.body_bytes += body_bytes
        self.sent_bytes += head_bytes + body_bytes
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1

    def missed(self, avoidable_bytes: int) -> None:
        """Count a miss of the region's shared cache, and what it would have hauled, or has."""
        self.misses += 1
        self.avoidable_bytes += avoidable_bytes

    def sums(self) -> tuple[float, ...]:
        """In the order of the ledger's row."""
        return (
            self.answers,
            self.sent_bytes,
            self.misses,
            self.middle_mile_bytes,
            self.avoidable_bytes,
            self.generate_ms,
            self.queue_ms,
            *self.buckets,
        )

    def take(self, other: "Tally") -> None:
        """Add the answers of another: for the metrics, which know of nothing else."""
        self.answers += other.answers
        self.body_bytes += other.body_bytes
        self.seconds += other.seconds
        self.buckets = [mine + its for mine, its in zip(self.buckets, other.buckets, strict=True)]


class Tallies(Collector):
    """Three metric families: answers, their bytes, and how long they took; and the ledger's."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str, Outcome, str], Tally] = {}

    def of(self, property: str, family: str, outcome: Outcome, reason: str) -> Tally:
        name = (property, family, outcome, reason)
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = Tally()
        return found

    def totals(self) -> Totals:
        return {(Answers, name): tally.sums() for name, tally in self._by_name.items()}

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "edge_answers", "Answers to clients", labels=("property", "outcome", "reason")
        )
        sent = CounterMetricFamily(
            "edge_client_bytes", "Body bytes sent to clients", labels=("property", "outcome")
        )
        took = HistogramMetricFamily(
            "edge_answer_seconds",
            "Time from a request's head to the last byte handed to the connection",
            labels=("outcome",),
        )
        by_reason: dict[tuple[str, Outcome, str], Tally] = {}
        by_property: dict[tuple[str, str], Tally] = {}
        by_outcome: dict[Outcome, Tally] = {}
        for (site, _, outcome, reason), tally in self._by_name.items():
            by_reason.setdefault((site, outcome, reason), Tally()).take(tally)
            by_property.setdefault((site, outcome), Tally()).take(tally)
            by_outcome.setdefault(outcome, Tally()).take(tally)
        for name, tally in by_reason.items():
            if tally.answers:  # else there were only misses, whose answers have another name
                answers.add_metric(name, tally.answers)
        for labels, tally in by_property.items():
            sent.add_metric(labels, tally.body_bytes)
        bounds = (*map(floatToGoString, BOUNDS_S), "+Inf")
        for outcome, tally in by_outcome.items():
            buckets = list(zip(bounds, map(float, accumulate(tally.buckets)), strict=True))
            took.add_metric((outcome,), buckets, tally.seconds)
        yield from (answers, sent, took)
