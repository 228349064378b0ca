"""What is counted of every answer: a few additions each, put into the metrics' form when asked.

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
from kvsync.ledger import BOUNDS_S


class Tally:
    """Answers of one property, outcome and reason."""

    __slots__ = ("answers", "body_bytes", "buckets", "seconds")

    def __init__(self) -> None:
        self.answers = self.body_bytes = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS_S) + 1)

    def add(self, body_bytes: int, seconds: float) -> None:
        self.answers += 1
        self.body_bytes += body_bytes
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1

    def take(self, other: "Tally") -> None:
        """Add all of another."""
        self.answers += other.answers
        self.body_bytes += other.body_bytes
        self.seconds += other.seconds
        self.buckets = [mine + its for mine, its in zip(self.buckets, other.buckets, strict=True)]


class Tallies(Collector):
    """Three metric families: answers, their bytes, and how long they took."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, Outcome, str], Tally] = {}

    def of(self, property: str, outcome: Outcome, reason: str) -> Tally:
        name = (property, outcome, reason)
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = Tally()
        return found

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
        by_property: dict[tuple[str, str], Tally] = {}
        by_outcome: dict[Outcome, Tally] = {}
        for (site, outcome, reason), tally in self._by_name.items():
            answers.add_metric((site, outcome, reason), tally.answers)
            by_property.setdefault((site, outcome), Tally()).take(tally)
            by_outcome.setdefault(outcome, Tally()).take(tally)
        for labels, tally in by_property.items():
            sent.add_metric(labels, tally.body_bytes)
        bounds = (*map(floatToGoString, BOUNDS_S), "+Inf")
        for outcome, tally in by_outcome.items():
            buckets = list(zip(bounds, map(float, accumulate(tally.buckets)), strict=True))
            took.add_metric((outcome,), buckets, tally.seconds)
        yield from (answers, sent, took)
