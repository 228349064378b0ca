"""The same demand under other circumstances: another price, other machines, other caches."""

from dataclasses import dataclass, replace

import numpy as np

from origin.economics.costs import Usage
from origin.economics.price_book import Prices, Tier


@dataclass(frozen=True, slots=True)
class Change:
    """What is other; None leaves a thing as it was.

    ``per_gb`` takes the place of every tier, ``device_per_hour`` of every device's price.
    ``machines`` are held in each region all the time. ``hit_ratio`` is the share of answers that
    caches give, 0 to 1.
    """

    per_gb: float | None = None
    device_per_hour: float | None = None
    machines: float | None = None
    hit_ratio: float | None = None

    def prices(self, prices: Prices, device: str) -> Prices:
        tiers = prices.middle_mile if self.per_gb is None else (Tier(self.per_gb),)
        changed = Prices(
            prices.since,
            tiers,
            prices.device_per_hour,
            prices.per_million_requests,
            prices.storage_per_gb_month,
        )
        if self.device_per_hour is None or not device:
            return changed
        return changed.with_device(device, self.device_per_hour)

    def misses(self, answers: float, misses: float) -> float:
        """Misses for each one that there was."""
        if self.hit_ratio is None or not misses:
            return 1.0
        return (1 - self.hit_ratio) * answers / misses


def usage_if(usage: Usage, times: float, allocated_s: float | None) -> Usage:
    """``times`` as many misses, on machines that are held for ``allocated_s`` (None: as before).

    What they cannot make in that time is hauled. Records, models and replicas stay: they follow
    the inventory, not the demand.
    """
    held = usage.busy_s + usage.idle_s if allocated_s is None else allocated_s
    needed = usage.busy_s * times
    # Machines that nothing is asked of make all of it.
    enough = np.ones_like(needed)
    can = np.minimum(held, needed)
    made = np.divide(can, needed, out=enough, where=np.greater(needed, 0.0))
    avoided, requests = usage.avoided_bytes * times, usage.avoided_requests * times
    busy = needed * made
    return replace(
        usage,
        hauled_bytes=usage.hauled_bytes * times + avoided * (1 - made),
        hauled_requests=usage.hauled_requests * times + requests * (1 - made),
        avoided_bytes=avoided * made,
        avoided_requests=requests * made,
        busy_s=busy,
        idle_s=np.maximum(0.0, held - busy),
    )
