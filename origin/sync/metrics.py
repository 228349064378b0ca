"""The log's figures on ``/metrics``: where it is, and where every region is."""

from prometheus_client import CollectorRegistry, Gauge

from kvsync.errors import StoreUnavailable
from origin.sync.service import LogService, now_ms


class LogMetrics:
    """Gauges that are read anew each time they are asked for."""

    def __init__(self, log: LogService, registry: CollectorRegistry) -> None:
        self._log = log
        self._sealed = Gauge(
            "origin_log_sealed_seq", "End of the log.", ("property",), registry=registry
        )
        self._faults = Gauge(
            "origin_log_faults", "Logs that stand still (alert above 0).", registry=registry
        )
        names = ("region", "property")
        self._behind = Gauge(
            "origin_region_behind", "Changes a region has not applied.", names, registry=registry
        )
        self._silent = Gauge(
            "origin_region_silent_seconds", "Since its last report.", names, registry=registry
        )

    async def refresh(self) -> None:
        """Ask for the regions' last words; without them their gauges are gone, not stale."""
        self._faults.set(len(self._log.sealer.faults))
        self._behind.clear()
        self._silent.clear()
        admitted = self._log.tokens.regions()
        for property, sealed in self._log.sealer.sealed.items():
            self._sealed.labels(property).set(sealed)
            try:
                heard = await self._log.reports.of(property)
            except StoreUnavailable:
                return  # The sealer's fault is counted above.
            for region, one in heard.items():
                if region not in admitted or property not in admitted[region].properties:
                    continue  # What it said once stays kept.
                self._behind.labels(region, property).set(max(0, sealed - one.report.seq))
                self._silent.labels(region, property).set((now_ms() - one.at_ms) / 1_000)
