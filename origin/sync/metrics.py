"""The log's figures on ``/metrics``: where it is, and where every region is."""

import math

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
            "origin_region_silent_seconds",
            "Since its last report; infinite where there was none.",
            names,
            registry=registry,
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
            # What a region said that was dismissed since stays kept, and is not told.
            for region in (name for name, one in admitted.items() if property in one.properties):
                one = heard.get(region)
                seq = one.report.seq if one else 0
                silent_s = (now_ms() - one.at_ms) / 1_000 if one else math.inf
                self._behind.labels(region, property).set(max(0, sealed - seq))
                self._silent.labels(region, property).set(silent_s)
