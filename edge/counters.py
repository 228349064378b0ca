"""Every outcome, counted with its bytes: the one source of the ledger and the dashboard."""

import asyncio
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from edge.ask import Ask
from edge.decide import Outcome
from edge.haul import Crossings, Haul, OriginHeads
from edge.reply import Generated
from edge.tally import Tallies, Tally
from edge.worker_metrics import WorkerMetrics
from kvsync.errors import InputError
from kvsync.property import Property
from kvsync.record import RecordBody

_log = logging.getLogger(__name__)
# How long a worker's counts are its own before its disk is asked again.
_NO_ROOM_S = 10.0


class Counters:
    """The metrics of one edge. Labels take values from closed sets only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._all: WorkerMetrics | None = None
        self.tallies = Tallies()
        self.registry.register(self.tallies)
        self.crossings = Crossings()
        self.origin_heads = OriginHeads()
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

    def tally(self, property: str, family: str, outcome: Outcome, reason: str) -> Tally:
        """Where answers are counted; it stays the same for as long as this."""
        return self.tallies.of(property, family, outcome, reason)

    def haul(self, ask: Ask, family: str, reason: str) -> Haul:
        """The origin is about to be asked."""
        tally = self.tally(ask.site.id, family, "origin", reason)
        return Haul(tally, self.crossings, (ask.site.id, ask.asset.path, reason))

    def had_in_region(
        self, site: Property, record: RecordBody, outcome: Outcome, made: Generated | None
    ) -> None:
        """Count a miss that a region answered by a record; ``made`` is None for a replica's."""
        self.avoided(site.id, record.original.size)
        tally = self.tally(site.id, record.family, outcome, "")
        if made is None or made.missed:
            tally.missed(record.original.size + self.origin_heads.size(site, record))
        if made is not None and made.missed:
            took_ms = dict(made.timings)
            tally.generate_ms += took_ms.get("device", took_ms.get("generate", 0.0))
            tally.queue_ms += took_ms.get("queue", 0.0)

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

    async def share(self, folder: Path) -> None:
        """From now on tell what all workers have counted, each in a file in ``folder``; only one's
        own until a full or broken disk has room for that: it is no reason not to serve."""
        while self._all is None:
            try:
                self._all = WorkerMetrics(folder, self.registry)
            except InputError as error:
                _log.error("metrics are of this worker only: %s", error)
                await asyncio.sleep(_NO_ROOM_S)
        await self._all.keep_publishing()

    def close(self) -> None:
        """Leave what was counted to the other workers."""
        if self._all is not None:
            self._all.close()

    def exposition(self) -> bytes:
        return generate_latest(self.registry) if self._all is None else self._all.exposition()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    @cache  # noqa: B019 - as many entries as gauges, and they live as long as this
    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
