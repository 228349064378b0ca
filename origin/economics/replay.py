"""What other policies would have come to in days that are past: the recorded demand, answered
otherwise, priced by the function that prices what was. Derived in docs/economics.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from origin.economics.costs import Usage, bill
from origin.economics.forecast import MONTH_S
from origin.economics.price_book import GB, Prices

Answered = Literal["haul", "replica", "rehydrate", "resilience"]

WAYS: Final[tuple[Answered, ...]] = ("haul", "replica", "rehydrate")
LOOKED_BACK_DAYS: Final = 30
"""What the policy ``economical`` decides by."""
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a family in a region.

    ``misses`` could be answered in any way, ``lost`` were hauled whatever the policy; both with
    the bytes that hauling takes. ``allocated_s`` is the family's part of the machines held,
    ``down`` the share of the day that the origin was left alone. ``log_bytes`` and ``model_bytes``
    are its part of records and models sent, ``kept_byte_s`` of those kept. ``inventory_bytes`` are
    its originals', None where they are not known, ``changed_bytes`` those that changed.
    ``images_per_s`` is what the machine makes when busy, None where it never did.
    """

    day: date
    misses: float
    miss_bytes: float
    lost: float
    lost_bytes: float
    allocated_s: float
    down: float
    log_bytes: float
    model_bytes: float
    kept_byte_s: float
    inventory_bytes: float | None
    changed: float
    changed_bytes: float
    images_per_s: float | None
    device: str
    prices: Prices

    def usage(self, answered: Answered) -> Usage | None:
        """What the day takes; None for a machine of which nobody knows how fast it is, and for
        a replica of nobody knows what."""
        match answered:
            case "haul":
                return self._hauled(1.0)
            case "replica":
                return self._replicated()
            case "rehydrate":
                return self._made(1.0)
            case "resilience":
                return self._made(self.down)

    def _hauled(self, share: float) -> Usage:
        return Usage(
            hauled_bytes=self.lost_bytes + share * self.miss_bytes,
            hauled_requests=self.lost + share * self.misses,
        )

    def _replicated(self) -> Usage | None:
        if self.inventory_bytes is None:
            return None
        return self._hauled(0.0) + Usage(
            hauled_requests=self.changed,
            replica_bytes=self.changed_bytes,
            stored_gb_months=self.inventory_bytes * _DAY_S / GB / MONTH_S,
        )

    def _made(self, share: float) -> Usage | None:
        """With machines held all day; where they would have had to work longer, for that long."""
        if self.images_per_s is None:
            return None
        busy = share * self.misses / self.images_per_s
        return self._hauled(1.0 - share) + Usage(
            sync_bytes=self.log_bytes,
            model_bytes=self.model_bytes,
            busy_s=busy,
            idle_s=max(0.0, self.allocated_s - busy),
            stored_gb_months=self.kept_byte_s / GB / MONTH_S,
        )


def costs_by_day(days: Sequence[Day], answered: Answered) -> list[float] | None:
    """One region's days, one after the other, each at its part of the month's tiers; None where
    one of them is not known."""
    costs: list[float] = []
    so_far, month = Usage(), None
    for one in days:
        if month != (one.day.year, one.day.month):
            so_far, month = Usage(), (one.day.year, one.day.month)
        used = one.usage(answered)
        if used is None:
            return None
        after = so_far + used
        before_cost = bill(so_far, one.prices, one.device)
        costs.append(bill(after, one.prices, one.device) - before_cost)
        so_far = after
    return costs


def added(regions: Iterable[list[float] | None]) -> list[float] | None:
    """Days of all regions together; None where a region is not known."""
    known = list(regions)
    if not known or any(one is None for one in known):
        return None
    return [sum(day) for day in zip(*(one for one in known if one is not None), strict=True)]


def economical(costs: Mapping[Answered, list[float] | None]) -> list[Answered]:
    """The way of each day, by what each cost in the thirty days before it; on the first day, of
    which nothing is known, it is rehydrated where it can be."""
    known = {way: found for way in WAYS if (found := costs[way]) is not None}
    days = max((len(found) for found in known.values()), default=0)
    chosen: list[Answered] = []
    for number in range(days):
        since = max(0, number - LOOKED_BACK_DAYS)
        if number == 0:
            chosen.append("rehydrate" if "rehydrate" in known else "haul")
        else:
            chosen.append(min(known, key=lambda way: sum(known[way][since:number])))
    return chosen
