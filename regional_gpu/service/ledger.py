"""What a region's service counts for the ledger: device time, models pulled, models kept."""

import socket
from collections import Counter
from collections.abc import Callable, Collection, Mapping

from kvsync.ledger import Carried, Held, Kept
from kvsync.meter import Meter, Totals
from kvsync.minutes import Minutes
from kvsync.spool import Spool
from regional_gpu.service.device_time import DeviceTime

# What lies on the disk is measured this often; in between it counts as it was.
_MEASURE_S = 60.0


class RegionLedger:
    """Minutes of one service for the ``properties`` that it serves.

    ``keeps`` say what is on its disk: bytes by property, of each kind of thing.
    """

    def __init__(self, name: str, device: str, properties: Collection[str], spool: Spool) -> None:
        self._properties = properties
        self._host = f"{socket.gethostname()[:40]}/{name[:30]}"
        self._meter = Meter()
        self.spool = spool
        self.device = DeviceTime(self._meter, device)
        self.minutes = Minutes(f"{name}-gpu", spool, self._totals, tick=self._tick)
        self.keeps: tuple[Callable[[], Mapping[str, int]], ...] = ()
        self._kept: Counter[str] = Counter()
        self._measured_s = _MEASURE_S
        self._unheld_s = 0.0

    def carried(self, property: str, size: int) -> None:
        """Count bytes of models, or of what recipes name beside them, that came from elsewhere."""
        self._meter.add(Carried, (property, "model"), size)

    def ready(self) -> None:
        """From now on it serves: what it took so far was starting."""
        self.device.settle(self._properties)
        self.device.starting = False

    def _totals(self) -> Totals:
        self.device.settle(self._properties)
        return self._meter.totals()

    def _tick(self, seconds: float) -> None:
        self._unheld_s += seconds
        # A GPU has its name from a library that is not there from the start.
        if not self.device.starting:
            self._meter.add(Held, (self.device.name, self._host), self._unheld_s)
            self._unheld_s = 0.0
        self._measured_s += seconds
        if self._measured_s >= _MEASURE_S:
            self._kept, self._measured_s = Counter(), 0.0
            for keeps in self.keeps:
                self._kept.update(keeps())
        for property, size in self._kept.items():
            self._meter.add(Kept, (property, "model"), size * seconds)
