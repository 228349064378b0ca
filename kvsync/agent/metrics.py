"""What a region's agent counts; labels take values from closed sets only."""

from collections import Counter as Counts

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from kvsync.errors import (
    BadSignature,
    ExpiredRecord,
    Gap,
    KeyNotAllowed,
    LogAhead,
    MalformedRecord,
    Replayed,
    RolledBack,
    StoreFull,
    Truncated,
    Unsupported,
    WrongAsset,
    WrongChain,
)
from kvsync.replica import ReplicaReport
from kvsync.store import StoreState

_ALERTED = (
    *(BadSignature, KeyNotAllowed, MalformedRecord, Replayed, Gap, WrongChain, Truncated),
    *(RolledBack, LogAhead, StoreFull, WrongAsset, ExpiredRecord, Unsupported),
)
ANOTHER_AGENT, CLOCK, SETTINGS = "another-agent", "clock", "settings"


class SyncMetrics:
    """``refused`` are by property and reason: what was not applied, or is of no use."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refused: dict[str, Counts[str]] = {}
        self._refused = self._counter(
            "sync_refused", "What was not applied, or is of no use here", "property", "reason"
        )
        self.entries = self._counter("sync_entries", "Entries of the log applied", "property")
        self.bytes = self._counter("sync_log_bytes", "Bytes of signed batches", "property")
        self.snapshots = self._counter("sync_snapshots", "Snapshots loaded", "property")
        self.compared = self._counter("sync_comparisons", "Comparisons of ranges", "property")
        self.repaired = self._counter("sync_repaired_keys", "Keys repaired", "property")
        self.relayed = self._counter(
            "sync_relayed_heartbeats", "Heartbeats taken over from another region", "property"
        )
        self.cursor = self._gauge("sync_cursor", "Last sequence applied", "property")
        self.lag = self._gauge(
            "sync_lag_seconds",
            "Age of the newest heartbeat that was caught up with",
            "property",
        )
        self._records = self._gauge("sync_records", "Records that can be read", "property")
        self._tombstones = self._gauge("sync_tombstones", "Tombstones", "property")
        self._waiting = self._gauge("sync_waiting", "Records without their model", "property")
        self.unpurged = self._gauge(
            "sync_unpurged_caches", "Caches that did not confirm the last purge", "property"
        )
        self.pulled = self._counter("sync_replica_pulled", "Originals pulled", "property")
        self._originals = self._gauge("sync_replica_originals", "Originals kept", "property")
        self._original_bytes = self._gauge("sync_replica_bytes", "Bytes of these", "property")
        self._missing = self._gauge("sync_replica_missing", "Originals still to pull", "property")
        self._left_out = self._gauge(
            "sync_replica_left_out", "Originals that do not fit", "property"
        )
        self.clock_offset = self._gauge(
            "sync_clock_offset_seconds", "How far this clock is ahead of the origin's"
        )

    def follow(self, property: str) -> None:
        """Show at 0 what alerts wait for: of a counter that begins at 1 a monitor sees no rise."""
        for reason in (*(error.reason for error in _ALERTED), ANOTHER_AGENT, CLOCK, SETTINGS):
            self._refused.labels(property, reason)
        self.repaired.labels(property)

    def refuse(self, property: str, reason: str, count: int = 1) -> None:
        self._refused.labels(property, reason).inc(count)
        self.refused.setdefault(property, Counts())[reason] += count

    def held(self, property: str, state: StoreState) -> None:
        self._records.labels(property).set(state.records)
        self._tombstones.labels(property).set(state.tombstones)
        self._waiting.labels(property).set(state.waiting)

    def replica(self, property: str, report: ReplicaReport) -> None:
        self._originals.labels(property).set(report.originals)
        self._original_bytes.labels(property).set(report.bytes)
        self._missing.labels(property).set(report.missing)
        self._left_out.labels(property).set(report.left_out)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
