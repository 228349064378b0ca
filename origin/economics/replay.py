"""What other policies would have come to in days that are past: the recorded demand, answered
otherwise, priced by the function that prices what was. Derived in docs/economics.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np

from origin.economics.costs import Usage, bill, one_by_one
from origin.economics.forecast import MONTH_S
from origin.economics.months import Floats, before, run_on
from origin.economics.price_book import GB, Prices

Answered = Literal["haul", "replica", "rehydrate", "resilience"]

WAYS: Final[tuple[Answered, ...]] = ("haul", "replica", "rehydrate")
LOOKED_BACK_DAYS: Final = 30
"""What the policy ``economical`` decides by."""
_DAY_S: Final = 86_400.0


@dataclass(frozen=True)
class Days:
    """Days of a family in a region, one after the other; arrays are of one each.

    ``misses`` could be answered in any way, ``lost`` were hauled whatever the policy; both with
    the bytes that hauling takes. ``allocated_s`` is the family's part of the machines held,
    ``down`` the share of the day that the origin was left alone. ``log_bytes`` and ``model_bytes``
    are its part of records and models sent, ``kept_byte_s`` of those kept. ``inventory_bytes`` are
    its originals', None where they are not known, ``changed`` and ``changed_bytes`` those of a day
    that changed. ``images_per_s`` is what the machine makes when busy, None where it never did.
    """

    days: Sequence[date]
    misses: Floats
    miss_bytes: Floats
    lost: Floats
    lost_bytes: Floats
    allocated_s: Floats
    down: Floats
    log_bytes: Floats
    model_bytes: Floats
    kept_byte_s: Floats
    inventory_bytes: float | None
    changed: float
    changed_bytes: float
    images_per_s: float | None
    device: str
    prices: Sequence[Prices]

    def usage(self, answered: Answered) -> Usage | None:
        """What each day takes; None for a machine of which nobody knows how fast it is, and for
        a replica of nobody knows what."""
        match answered:
            case "haul":
                return self._hauled(np.ones(len(self.days)))
            case "replica":
                return self._replicated()
            case "rehydrate":
                return self._made(np.ones(len(self.days)))
            case "resilience":
                return self._made(self.down)

    def _hauled(self, share: Floats) -> Usage:
        return Usage(
            hauled_bytes=one_by_one(self.lost_bytes + share * self.miss_bytes),
            hauled_requests=one_by_one(self.lost + share * self.misses),
        )

    def _replicated(self) -> Usage | None:
        if self.inventory_bytes is None:
            return None
        return self._hauled(np.zeros(len(self.days))) + Usage(
            hauled_requests=self.changed,
            replica_bytes=self.changed_bytes,
            stored_gb_months=self.inventory_bytes * _DAY_S / GB / MONTH_S,
        )

    def _made(self, share: Floats) -> Usage | None:
        """With machines held all day; where they would have had to work longer, for that long."""
        if self.images_per_s is None:
            return None
        busy = share * self.misses / self.images_per_s
        return self._hauled(1.0 - share) + Usage(
            sync_bytes=one_by_one(self.log_bytes),
            model_bytes=one_by_one(self.model_bytes),
            busy_s=one_by_one(busy),
            idle_s=one_by_one(np.maximum(0.0, self.allocated_s - busy)),
            stored_gb_months=one_by_one(self.kept_byte_s / GB / MONTH_S),
        )


def costs_by_day(days: Days, answered: Answered) -> Floats | None:
    """One region's days, one after the other, each at its part of the month's tiers; None where
    they are not known."""
    used = days.usage(answered)
    if used is None:
        return None
    many = len(days.days)
    months = [(day.year, day.month) for day in days.days]
    so_far = run_on(
        np.stack([np.broadcast_to(getattr(used, name), many) for name in Usage.__slots__]), months
    )
    earlier = before(so_far, months)
    priced: defaultdict[int, list[int]] = defaultdict(list)
    for number, prices in enumerate(days.prices):
        priced[id(prices)].append(number)
    costs = np.zeros(many)
    for numbers in priced.values():
        prices = days.prices[numbers[0]]
        after, already = (
            bill(Usage(*of[:, numbers]), prices, days.device) for of in (so_far, earlier)
        )
        costs[numbers] = after - already
    return costs


def added(regions: Iterable[Floats | None]) -> Floats | None:
    """Days of all regions together; None where a region is not known."""
    every = list(regions)
    known = [one for one in every if one is not None]
    return np.sum(known, axis=0) if known and len(known) == len(every) else None


def economical(costs: Mapping[Answered, Floats | None]) -> list[Answered]:
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
            chosen.append(min(known, key=lambda way: float(known[way][since:number].sum())))
    return chosen
