"""What each policy would have cost in the days asked for, family by family: the ledger's own days
(UTC) and machines, and the inventory as the control plane knows it now.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from origin.dashboard.asked import Asked
from origin.dashboard.ways import Facts, facts_of, rates_of
from origin.economics.chosen_books import Books
from origin.economics.replay import Answered, Day, added, costs_by_day, economical
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import Only, Reader, Row, Scope
from origin.ledger.spans import Period
from origin.ledger.tables import (
    ANSWERS,
    CARRIED,
    DAY_S,
    DEVICE_PARTS,
    HELD,
    KEPT,
    MINUTE_S,
    OPEN,
    WORK,
    begin_of,
)

POLICIES: Final = frozenset({"haul", "resilience"})
"""Reasons of misses that a policy had hauled: another would have had them rehydrated."""

_OF_USE: Final = frozenset({"rehydrated", "replica"})
FREE: Final[Only] = {
    "outcome": [*sorted(_OF_USE), "origin"],
    "reason": ["", *sorted(POLICIES)],
}
"""The rows of misses that could be answered in any way."""

LOST: Final[Only] = {"outcome": ["origin"], "not_reason": sorted(POLICIES)}
"""The rows of those that were hauled whatever the policy."""

_COUNTED: Final = ("misses", "avoidable_bytes", "middle_mile_bytes")


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
    """Rows of a property's days; of machines those of all, since they are shared."""

    begins: Sequence[int]
    answers: Mapping[int, list[Row]]
    held: Mapping[int, list[Row]]
    open: Mapping[int, list[Row]]
    carried: Mapping[int, list[Row]]
    kept: Mapping[int, list[Row]]
    work: Sequence[Row]


def replayed(reader: Reader, books: Books, asked: Asked, property: str) -> list[Replayed]:
    """Every family of a property that was missed, one for each currency that its regions pay in."""
    days = _read(reader, asked, property)
    facts = facts_of(reader.database, property, days.begins[0]) if days.begins else None
    if facts is None:
        return []
    places = _places(days, asked.scope.region)
    shares = _shares(days, property, places)
    found = []
    for family in sorted({family for _, family in places}):
        by_currency: defaultdict[str, list[list[Day]]] = defaultdict(list)
        for region in sorted(region for region, name in places if name == family):
            share = shares[region, family]
            currency, many = _of_place(books, days, facts, property, (region, family), share)
            by_currency[currency].append(many)
        found += [
            _compared(property, family, currency, regions)
            for currency, regions in sorted(by_currency.items())
        ]
    return found


def _compared(property: str, family: str, currency: str, regions: list[list[Day]]) -> Replayed:
    ways: tuple[Answered, ...] = ("haul", "replica", "rehydrate", "resilience")
    costs = {way: added(costs_by_day(days, way) for days in regions) for way in ways}
    chosen = economical(costs)
    whole = {way: None if one is None else sum(one) for way, one in costs.items()}
    every = [day for days in regions for day in days]
    taken = [costs[way] for way in chosen]
    return Replayed(
        property,
        family,
        currency,
        regions[0][0].day.isoformat(),
        len(regions[0]),
        sum(day.misses for day in every),
        sum(day.lost for day in every),
        whole["haul"],
        whole["replica"],
        whole["rehydrate"],
        sum(one[number] for number, one in enumerate(taken) if one is not None),
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
    labels = ("region", "family", "outcome", "reason")
    held = ("allocated_s",)
    work = ("region", "device", "property", "family")
    return _Days(
        range(first, end, DAY_S),
        reader.days(ANSWERS, labels, _COUNTED, whole, mine),
        reader.days(HELD, ("region", "device"), held, whole),
        reader.days(OPEN, ("region", "peer"), ("open_s",), whole),
        reader.days(CARRIED, ("region", "what"), ("carried_bytes",), whole, mine),
        reader.days(KEPT, ("region", "what"), ("byte_s",), whole, mine),
        [
            row
            for row in reader.read(WORK, work, ("images", *DEVICE_PARTS), whole)
            # Starting is no family's work, and is paid with the time that machines wait.
            if row.labels[0] != THE_ORIGIN and row.labels[3]
        ],
    )


def _places(days: _Days, only: str) -> set[tuple[str, str]]:
    """Regions in which a family was missed."""
    return {
        (row.labels[0], row.labels[1])
        for rows in days.answers.values()
        for row in rows
        if row.labels[1] and row["misses"] and only in ("", row.labels[0])
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
    misses: defaultdict[tuple[str, str], float] = defaultdict(float)
    for rows in days.answers.values():
        for row in rows:
            misses[row.labels[0], row.labels[1]] += row["misses"]
    busy: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for row in days.work:
        busy[row.labels[0], row.labels[2], row.labels[3]] += sum(row[p] for p in DEVICE_PARTS)
    held: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for rows in days.held.values():
        for row in rows:
            held[row.labels[0]][row.labels[1]] += row["allocated_s"]
    rates = rates_of([row for row in days.work if row.labels[2] == property])
    found = {}
    for region, family in places:
        worked = sum(spent for name, spent in busy.items() if name[0] == region)
        missed = sum(misses[region, name] for where, name in places if where == region)
        part = misses[region, family] / missed
        device = max(held[region], key=lambda name: held[region][name], default="")
        found[region, family] = _Share(
            busy[region, property, family] / worked if worked else part,
            part,
            device,
            rates.get((device, family), rates.get((device, ""))),
        )
    return found


def _of_place(
    books: Books, days: _Days, facts: Facts, property: str, place: tuple[str, str], share: _Share
) -> tuple[str, list[Day]]:
    """A family's days in a region, and the currency that they are paid in at their end."""
    region, family = place
    images, inventory = facts.originals.get(family, (0, None))
    changed = facts.changes.get(family, 0.0) / len(days.begins)
    found, currency = [], ""
    for begin in days.begins:
        day = datetime.fromtimestamp(begin, UTC).date()
        prices, currency = books.prices(property, region, day)
        if share.device:
            prices = prices.with_device(share.device, prices.device(prices.priced_as(share.device)))
        answers = [row for row in days.answers.get(begin, []) if row.labels[:2] == place]
        lost = [row for row in answers if not _in_any_way(row)]
        free = [row for row in answers if _in_any_way(row)]
        found.append(
            Day(
                day,
                misses=_sum(free, "misses"),
                miss_bytes=_sum(free, "avoidable_bytes"),
                lost=_sum(lost, "misses"),
                lost_bytes=_sum(lost, "middle_mile_bytes"),
                allocated_s=_of(days.held, begin, region, "allocated_s", share.device)
                * share.machines,
                down=min(1.0, _of(days.open, begin, region, "open_s", "origin") / DAY_S),
                log_bytes=_of(days.carried, begin, region, "carried_bytes", "sync")
                * share.property,
                model_bytes=_of(days.carried, begin, region, "carried_bytes", "model")
                * share.property,
                kept_byte_s=_of(days.kept, begin, region, "byte_s", "record", "model")
                * share.property,
                inventory_bytes=inventory,
                changed=images * changed,
                changed_bytes=(inventory or 0) * changed,
                images_per_s=share.images_per_s,
                device=share.device,
                prices=prices,
            )
        )
    return currency, found


def _in_any_way(row: Row) -> bool:
    return row.labels[2] in _OF_USE or row.labels[3] in POLICIES


def _of(days: Mapping[int, list[Row]], begin: int, region: str, what: str, *labels: str) -> float:
    """A day's sum of a region's rows with one of these second labels."""
    return sum(
        row[what]
        for row in days.get(begin, [])
        if row.labels[0] == region and row.labels[1] in labels
    )


def _sum(rows: Sequence[Row], name: str) -> float:
    return sum(row[name] for row in rows)
