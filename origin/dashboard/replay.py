"""What each policy would have cost in the days asked for, family by family: the ledger's own days
(UTC) and machines, and the inventory as the control plane knows it now.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np
from sqlalchemy import Table

from origin.dashboard.asked import Asked
from origin.dashboard.facts import NOTHING_KNOWN, Facts, facts_of
from origin.dashboard.ways import made_by, rates_of
from origin.economics.chosen_books import Books
from origin.economics.months import Floats
from origin.economics.price_book import Prices
from origin.economics.replay import Answered, Days, added, costs_by_day, economical
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import EVERYTHING, Only, Reader, Row, Scope
from origin.ledger.spans import Period
from origin.ledger.tables import (
    CARRIED,
    DAY_S,
    DEVICE_PARTS,
    FAMILIES,
    HELD,
    KEPT,
    MINUTE_S,
    OPEN,
    WORK,
    Packing,
    begin_of,
)
from origin.ledger.usage import BY_POLICY, KEPT_IN_REGION

Array = dict[tuple[str, ...], Floats]
"""Sums of days by labels, (day, sum)."""

FREE: Final[Only] = {
    "outcome": [*sorted(KEPT_IN_REGION), "origin"],
    "reason": ["", *sorted(BY_POLICY)],
}
"""The rows of misses that could be answered in any way."""

LOST: Final[Only] = {"outcome": ["origin"], "not_reason": sorted(BY_POLICY)}
"""The rows of those that were hauled whatever the policy."""

_COUNTED: Final = ("misses", "free_misses", "free_avoidable_bytes", "lost_bytes")
_WORK: Final = ("region", "device", "property", "family")


class Replayed(msgspec.Struct, frozen=True):
    """A family's days under each policy, and ``haul`` of all; None where no machine ever made its
    pictures. ``misses`` could be answered in any way, ``lost`` were hauled whatever the policy.
    ``economical_days`` counts days by the way that it would have taken."""

    property: str
    family: str
    currency: str
    first: str
    days: int
    misses: float
    lost: float
    haul: float | None
    replica: float | None
    always: float | None
    economical: float | None
    resilience: float | None
    economical_days: dict[str, int]


@dataclass(frozen=True)
class _Days:
    """A property's days: ``answers`` by region and family, ``carried`` and ``kept`` by region and
    what; of machines those of all, since they are shared: ``held`` by region and device, ``open``
    by region and peer. They begin at ``begun`` (Unix seconds)."""

    begun: int
    dates: Sequence[date]
    answers: Array
    held: Array
    open: Array
    carried: Array
    kept: Array
    work: Sequence[Row]

    def of(self, array: Array, region: str, *labels: str) -> Floats:
        """A region's sums day by day, of these second labels."""
        none = np.zeros(len(self.dates))
        return sum((array[region, one][:, 0] for one in labels if (region, one) in array), none)


def replayed(reader: Reader, books: Books, asked: Asked, property: str) -> list[Replayed]:
    """Every family of a property that was missed, one for each currency that its regions pay in."""
    days = _read(reader, asked, property)
    if not days.dates:
        return []
    facts = facts_of(reader.database, days.begun, property).get(property, NOTHING_KNOWN)
    places = _places(days, asked.scope.region)
    shares = _shares(days, property, places)
    paid = {
        region: [books.prices(property, region, day) for day in days.dates] for region, _ in places
    }
    found = []
    for family in sorted({family for _, family in places}):
        by_currency: defaultdict[str, list[Days]] = defaultdict(list)
        for region in sorted(region for region, name in places if name == family):
            prices = [one for one, _ in paid[region]]
            # In which currency they are paid at their end.
            by_currency[paid[region][-1][1]].append(
                _of_place(days, facts, (region, family), shares[region, family], prices)
            )
        found += [
            _compared(property, family, currency, regions)
            for currency, regions in sorted(by_currency.items())
        ]
    return found


def _compared(property: str, family: str, currency: str, regions: list[Days]) -> Replayed:
    ways: tuple[Answered, ...] = ("haul", "replica", "rehydrate", "resilience")
    costs = {way: added(costs_by_day(days, way) for days in regions) for way in ways}
    chosen = economical(costs)
    whole = {way: None if one is None else float(one.sum()) for way, one in costs.items()}
    taken = [costs[way] for way in chosen]
    return Replayed(
        property,
        family,
        currency,
        regions[0].days[0].isoformat(),
        len(regions[0].days),
        sum(float(days.misses.sum()) for days in regions),
        sum(float(days.lost.sum()) for days in regions),
        whole["haul"],
        whole["replica"],
        whole["rehydrate"],
        sum(float(one[number]) for number, one in enumerate(taken) if one is not None),
        whole["resilience"],
        dict(Counter(chosen)),
    )


def _read(reader: Reader, asked: Asked, property: str) -> _Days:
    """The days (UTC) that lie in those asked for, as far as the ledger goes."""
    # The minute that is being counted is known in part.
    end = min(asked.period.end, begin_of(MINUTE_S, int(asked.now)) + MINUTE_S)
    first = max(begin_of(DAY_S, asked.period.begin + DAY_S - 1), reader.begun_at() or end)
    whole = Period(first, end, asked.first)
    mine = Scope(property=property)
    days = [
        Period(at, at + DAY_S, datetime.fromtimestamp(at, UTC).date())
        for at in range(first, end, DAY_S)
    ]

    def by_day(
        table: Table | Packing,
        labels: tuple[str, str],
        sums: Sequence[str],
        scope: Scope,
        only: Only = MappingProxyType({}),
    ) -> Array:
        found = reader.each(table, labels, sums, days, scope, only)
        return dict(zip(found.labels, found.sums, strict=True))

    answers = by_day(FAMILIES, ("region", "family"), _COUNTED, mine)
    there = {"region": sorted({region for region, _ in answers})}
    return _Days(
        first,
        [one.day for one in days],
        answers,
        by_day(HELD, ("region", "device"), ("allocated_s",), EVERYTHING),
        by_day(OPEN, ("region", "peer"), ("open_s",), EVERYTHING),
        by_day(CARRIED, ("region", "what"), ("carried_bytes",), mine, there),
        by_day(KEPT, ("region", "what"), ("byte_s",), mine, there),
        [
            row
            for row in reader.read(WORK, _WORK, ("images", *DEVICE_PARTS), whole)
            # Starting is no family's work, and is paid with the time that machines wait.
            if row.labels[0] != THE_ORIGIN and row.labels[3]
        ],
    )


def _places(days: _Days, only: str) -> set[tuple[str, str]]:
    """Regions in which a family was missed."""
    return {
        (region, family)
        for (region, family), sums in days.answers.items()
        if family and sums[:, 0].any() and only in ("", region)
    }


@dataclass(frozen=True)
class _Share:
    """A family's part of its region's machines, and of what its property sends and keeps there."""

    machines: float
    property: float
    device: str
    images_per_s: float | None


def _shares(
    days: _Days, property: str, places: set[tuple[str, str]]
) -> dict[tuple[str, str], _Share]:
    """Machines go by busy time; those that nobody used, and what is the property's, by misses."""
    misses = {place: float(days.answers[place][:, 0].sum()) for place in places}
    busy: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for row in days.work:
        spent = sum(row[part] for part in DEVICE_PARTS)
        busy[row.labels] += spent
        busy[row.labels[:2]] += spent
    held: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (region, device), sums in days.held.items():
        held[region][device] = float(sums.sum())
    work = [row for row in days.work if row.labels[2] == property]
    rates, made = rates_of(work), made_by(work)
    found = {}
    for region, family in places:
        missed = sum(count for (where, _), count in misses.items() if where == region)
        part = misses[region, family] / missed
        longest = max(held[region], key=lambda name: held[region][name], default="")
        device = made.get((region, family), longest)
        worked = busy[region, device]
        found[region, family] = _Share(
            busy[region, device, property, family] / worked if worked else part,
            part,
            device,
            rates.get((device, family), rates.get((device, ""))),
        )
    return found


def _of_place(
    days: _Days,
    facts: Facts,
    place: tuple[str, str],
    share: _Share,
    prices: Sequence[Prices],
) -> Days:
    """A family's days in a region."""
    region, family = place
    images, inventory = facts.originals.get(family, (0, None))
    changed = facts.changes.get(family, 0.0) / len(days.dates)
    missed, free, free_bytes, lost_bytes = days.answers[place].T
    return Days(
        days.dates,
        misses=free,
        miss_bytes=free_bytes,
        lost=missed - free,
        lost_bytes=lost_bytes,
        allocated_s=days.of(days.held, region, share.device) * share.machines,
        down=np.minimum(1.0, days.of(days.open, region, "origin") / DAY_S),
        log_bytes=days.of(days.carried, region, "sync") * share.property,
        model_bytes=days.of(days.carried, region, "model") * share.property,
        kept_byte_s=days.of(days.kept, region, "record", "model") * share.property,
        inventory_bytes=inventory,
        changed=images * changed,
        changed_bytes=(inventory or 0) * changed,
        images_per_s=share.images_per_s,
        device=share.device,
        prices=_priced_as(prices, share.device),
    )


def _priced_as(prices: Sequence[Prices], device: str) -> list[Prices]:
    """With a price for the device; equal ones stay one."""
    if not device:
        return list(prices)
    known = {id(one): one for one in prices}
    with_device = {
        name: one.with_device(device, one.device(one.priced_as(device)))
        for name, one in known.items()
    }
    return [with_device[id(one)] for one in prices]
