"""Three ways to serve the same misses, a month ahead: haul, keep a replica, rehydrate."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from origin.economics.costs import HOUR_S, Usage, bill
from origin.economics.price_book import GB, Prices

MONTH_S = 30 * 24 * HOUR_S
# Above this share of its rate a generator's queue grows faster than peaks pass.
USABLE = 0.7
# Of a threshold, relative to it.
_NEAR = 1e-12


@dataclass(frozen=True, slots=True)
class Demand:
    """What a region's shared cache misses in a month, of one inventory.

    ``change`` is the share of images that change in the month; ``peak`` the busiest second's
    misses against the average's.
    """

    images: int
    bytes_per_image: float
    misses: float
    change: float = 0.0
    peak: float = 1.0

    @property
    def inventory_bytes(self) -> float:
        return self.images * self.bytes_per_image

    @property
    def misses_per_image(self) -> float:
        return self.misses / self.images

    def at(self, misses_per_image: float) -> "Demand":
        return replace(self, misses=misses_per_image * self.images)


@dataclass(frozen=True, slots=True)
class Generator:
    """A family's generator on one kind of machine; ``images_per_s`` measured, encoded.

    A machine ``shared`` with other families is charged by the share that peaks take of it,
    one that is alone as a whole, also while it waits.
    """

    device: str
    images_per_s: float
    model_bytes: float
    record_bytes: float
    shared: bool = False

    def hosts(self, demand: Demand) -> float:
        """Machines that carry the peak with :data:`USABLE` of their rate; whole if alone."""
        needed = demand.misses / MONTH_S * demand.peak / (USABLE * self.images_per_s)
        return needed if self.shared else float(math.ceil(needed))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A month's cost of each way, in the price book's currency."""

    haul: float
    replica: float
    rehydrate: float

    @property
    def cheapest(self) -> str:
        ways = {"haul": self.haul, "replica": self.replica, "rehydrate": self.rehydrate}
        return min(ways, key=lambda way: ways[way])


def hauling(demand: Demand) -> Usage:
    return Usage(hauled_bytes=demand.misses * demand.bytes_per_image, hauled_requests=demand.misses)


def replicating(demand: Demand) -> Usage:
    """The region keeps every original and pulls each change once; misses cost nothing more."""
    changed = demand.images * demand.change
    return Usage(
        avoided_bytes=demand.misses * demand.bytes_per_image,
        avoided_requests=demand.misses,
        hauled_requests=changed,
        replica_bytes=changed * demand.bytes_per_image,
        stored_gb_months=demand.inventory_bytes / GB,
    )


def rehydrating(demand: Demand, generator: Generator) -> Usage:
    """A changed image sends a record anew, and its family's model once."""
    changed = demand.images * demand.change
    busy_s = demand.misses / generator.images_per_s
    kept = demand.images * generator.record_bytes + generator.model_bytes
    return Usage(
        avoided_bytes=demand.misses * demand.bytes_per_image,
        avoided_requests=demand.misses,
        sync_bytes=changed * generator.record_bytes,
        model_bytes=generator.model_bytes if changed else 0.0,
        busy_s=busy_s,
        idle_s=generator.hosts(demand) * MONTH_S - busy_s,
        stored_gb_months=kept / GB,
    )


def compare(demand: Demand, generator: Generator, prices: Prices) -> Comparison:
    device = generator.device
    return Comparison(
        bill(hauling(demand), prices, device),
        bill(replicating(demand), prices, device),
        bill(rehydrating(demand, generator), prices, device),
    )


def least_misses_to_rehydrate(
    demand: Demand, generator: Generator, prices: Prices, *, most_hosts: int = 1 << 20
) -> float | None:
    """Misses per image and month from which on rehydrating costs no more than hauling.

    Hosts that carry a demand cost the same up to their limit while hauling costs ever more, so
    the fewest that pay at their limit are looked for first. None where ``most_hosts`` do not.
    """

    def gain(per_image: float) -> float:
        compared = compare(demand.at(per_image), generator, prices)
        return compared.haul - compared.rehydrate

    def limit(hosts: float) -> float:
        carried = hosts * USABLE * generator.images_per_s * MONTH_S / demand.peak
        return carried / demand.images * (1 - 1e-12)

    hosts = 1
    while gain(limit(hosts)) < 0:
        hosts *= 2
        if hosts > most_hosts:
            return None
    first = math.ceil(_first(lambda few: gain(limit(math.ceil(few))), hosts / 2, hosts))
    return _first(gain, limit(first - 1), limit(first))


def least_misses_to_replicate(demand: Demand, prices: Prices) -> float | None:
    """Misses per image and month from which on a replica costs no more than hauling; None where
    hauling is free."""

    def gain(per_image: float) -> float:
        there = demand.at(per_image)
        return bill(hauling(there), prices, "") - bill(replicating(there), prices, "")

    high = 1.0
    while gain(high) < 0:
        high *= 2
        if high > 1e12:
            return None
    return _first(gain, 0.0, high)


def least_images_to_rehydrate(demand: Demand, generator: Generator, prices: Prices) -> float | None:
    """Images from which on rehydrating the same misses costs no more than keeping a replica."""

    def gain(images: float) -> float:
        compared = compare(replace(demand, images=max(1, round(images))), generator, prices)
        return compared.replica - compared.rehydrate

    high = 1.0
    while gain(high) < 0:
        high *= 2
        if high > 1e15:
            return None
    return math.ceil(_first(gain, 0.0, high))


def _first(gain: Callable[[float], float], low: float, high: float) -> float:
    """Where ``gain``, rising from ``low`` to ``high``, becomes 0 or more, by bisection."""
    while high - low > _NEAR * high:
        middle = (low + high) / 2
        low, high = (low, middle) if gain(middle) >= 0 else (middle, high)
    return high
