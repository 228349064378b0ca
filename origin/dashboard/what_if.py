"""What the days that were asked for would have come to: the ledger's usage, changed, and priced by
the same function as what was."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import msgspec
import numpy as np

from origin.dashboard.asked import Asked
from origin.dashboard.facts import Facts, facts_of
from origin.dashboard.savings import Money
from origin.economics.chosen_books import Books
from origin.economics.costs import Statement, Usage, bill, saved
from origin.economics.forecast import MONTH_S
from origin.economics.price_book import GB, Prices
from origin.economics.what_if import Change, usage_if
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import Reader
from origin.ledger.running import Cells, Counted, running, total
from origin.ledger.spans import month_of, months_between

_USUAL = "h200"
"""What a machine is taken for where none has worked yet."""


class Circumstances(msgspec.Struct, frozen=True):
    """Where the sliders stand: the price of a GB (of the first tier) and of a machine's hour,
    machines in each region, and the share of answers that caches gave (None before the first)."""

    per_gb: float
    device_per_hour: float
    machines: float
    hit_ratio: float | None


class Compared(msgspec.Struct, frozen=True):
    """What the same misses cost when all are hauled, when regions keep a replica of every original
    (None where not all are known), and ``made``: answered as they were, machines included."""

    currency: str
    haul: float
    replica: float | None
    made: float
    cheapest: str

    @classmethod
    def of(cls, currency: str, haul: float, replica: float | None, made: float) -> "Compared":
        costs = {"made": made, "haul": haul}
        if replica is not None:
            costs["replica"] = replica
        return cls(currency, haul, replica, made, min(costs, key=lambda way: costs[way]))


class WhatIf(msgspec.Struct, frozen=True):
    """``was`` is what these days came to at ``given``, ``would_be`` at ``changed``, where ``ways``
    compares three to answer the same misses; by currency.
    ``break_even_per_s`` and ``made_per_s`` are images a second of a machine that is busy."""

    given: Circumstances
    changed: Circumstances
    was: list[Money]
    would_be: list[Money]
    ways: list[Compared]
    bytes_per_image: float | None
    break_even_per_s: float | None
    made_per_s: float | None


@dataclass(frozen=True)
class _Case:
    """Properties in a region in one month that pay alike and are made by the same device: arrays,
    one of each. ``share`` is each one's part of the region's machines."""

    region: str
    properties: list[str]
    counted: Counted
    was: Statement
    device: str
    usage: Usage
    prices: Prices
    currency: str
    elapsed_s: float
    share: float


@dataclass(frozen=True)
class _Changed:
    """A case under other circumstances."""

    case: _Case
    usage: Usage
    prices: Prices
    device: str

    @property
    def statement(self) -> Statement:
        return saved(self.usage, self.prices, self.device, self.case.currency)


def what_if(reader: Reader, books: Books, asked: Asked, change: Change) -> WhatIf:
    """Of whole months, since tiers are by the month: from the first day of the first one."""
    asked = replace(asked, first=month_of(asked.first))
    begun = reader.counted_since() or int(asked.now)
    cases = list(_cases(reader, books, asked, begun))
    answers = _sum(one.counted.sums["answers"] for one in cases)
    misses = _sum(one.counted.sums["misses"] for one in cases)
    times = change.misses(answers, misses)
    given = _given(books, asked, begun, cases, 1 - misses / answers if answers else None)
    others = [_changed(one, change, times, given.machines) for one in cases]
    since = max(begun, asked.period.begin)
    facts = facts_of(reader.database, since, asked.scope.property)
    of_time = 1 / max(1.0, min(asked.period.end, asked.now) - since)
    changed = Circumstances(
        given.per_gb if change.per_gb is None else change.per_gb,
        given.device_per_hour if change.device_per_hour is None else change.device_per_hour,
        given.machines if change.machines is None else change.machines,
        given.hit_ratio if change.hit_ratio is None else change.hit_ratio,
    )
    avoidable = _sum(one.counted.sums["avoidable_bytes"] for one in cases)
    per_image = avoidable / misses if misses else None
    haul = per_image / GB * changed.per_gb if per_image else 0.0
    made = _sum(one.usage.avoided_requests for one in cases)
    busy = _sum(one.usage.busy_s for one in cases)
    return WhatIf(
        given,
        changed,
        [Money.of(one) for one in total(one.was.summed() for one in cases).values()],
        [Money.of(one) for one in total(one.statement.summed() for one in others).values()],
        _compared([(one, _replica(one, facts, of_time)) for one in others]),
        per_image,
        changed.device_per_hour / 3600 / haul if haul else None,
        made / busy if busy else None,
    )


def _cases(reader: Reader, books: Books, asked: Asked, begun: int) -> Iterator[_Case]:
    """Each month for itself, cut where a price changes."""
    periods = list(months_between(asked.first, asked.last, asked.zone, books.changes()))
    counted = running(reader, periods, asked.scope.region, apart=True)
    devices = counted.busiest()
    for row, period in enumerate(periods):
        of_region: defaultdict[str, list[int]] = defaultdict(list)
        alike: defaultdict[tuple[str, str], dict[int, tuple[Prices, str, list[int]]]]
        alike = defaultdict(dict)
        for number in np.flatnonzero(counted.known[row]).tolist():
            place = counted.places[number]
            of_region[place[1]].append(number)
            if asked.scope.has(*place):
                prices, currency = books.prices(*place, period.day)
                paying = alike[place[1], devices[row][number]]
                paying.setdefault(id(prices), (prices, currency, []))[2].append(number)
        elapsed_s = max(0.0, min(period.end, asked.now) - max(period.begin, begun))
        for (region, device), every in alike.items():
            there = of_region[region]
            all_held = _sum([_held(counted.counted(_cells(row, there)))])
            for prices, currency, numbers in every.values():
                one = counted.counted(_cells(row, numbers))
                yield _Case(
                    region,
                    [counted.places[number][0] for number in numbers],
                    one,
                    one.statement(prices, currency),
                    device,
                    _with_all_devices(one, device),
                    prices,
                    currency,
                    elapsed_s,
                    _held(one) / all_held if all_held else 1 / len(there),
                )


def _cells(row: int, numbers: list[int]) -> Cells:
    return np.full(len(numbers), row), np.array(numbers)


def _changed(case: _Case, change: Change, times: float, machines: float) -> _Changed:
    """``machines`` is how many a region had: others are as many times that, in every region."""
    allocated = None
    if change.machines is not None and case.region != THE_ORIGIN:
        as_many = case.elapsed_s * case.share
        if machines:
            as_many = _held(case.counted) / machines
        allocated = change.machines * as_many
    device = case.device or _USUAL
    prices = change.prices(case.prices.with_device(device, _per_hour(case)), device)
    return _Changed(case, usage_if(case.usage, times, allocated), prices, device)


def _replica(one: _Changed, facts: Mapping[str, Facts], of_time: float) -> float | None:
    """What keeping every original in the region costs, each change pulled once; changes are spread
    evenly, ``of_time`` of them a second. None where originals are not known."""
    case, names = one.case, [name for name in one.case.properties if name]
    if case.region == THE_ORIGIN or not names:
        return 0.0
    if any(name not in facts for name in names):
        return None
    changed = case.elapsed_s * of_time
    usages = (
        Usage(
            hauled_requests=known.changed_images * changed,
            replica_bytes=known.changed_bytes * changed,
            stored_gb_months=known.inventory_bytes * case.elapsed_s / MONTH_S / GB,
        )
        for known in (facts[name] for name in names)
    )
    return sum(bill(usage, one.prices, one.device) for usage in usages)


def _compared(changed: Sequence[tuple[_Changed, float | None]]) -> list[Compared]:
    found = []
    for currency in dict.fromkeys(one.case.currency for one, _ in changed):
        mine = [(one, kept) for one, kept in changed if one.case.currency == currency]
        known = [kept for _, kept in mine if kept is not None]
        found.append(
            Compared.of(
                currency,
                _sum(bill(one.usage.as_hauled(), one.prices, one.device) for one, _ in mine),
                sum(known) if len(known) == len(mine) else None,
                _sum(bill(one.usage, one.prices, one.device) for one, _ in mine),
            )
        )
    return found


def _per_hour(case: _Case) -> float:
    """What an hour of its machines cost, of whatever kinds they were."""
    hours = np.asarray(_held(case.counted) / 3600)
    usual = case.prices.device(case.prices.priced_as(_USUAL))
    cost = case.was.busy + case.was.idle + case.was.qa
    return cast(float, np.divide(cost, hours, out=np.full(hours.shape, usual), where=hours > 0))


def _given(
    books: Books, asked: Asked, begun: int, cases: Sequence[_Case], hit_ratio: float | None
) -> Circumstances:
    """Machines are those of the time since anything was counted: nobody knows of days before."""
    prices, _ = books.prices(asked.scope.property, asked.scope.region, asked.today)
    device = max((one.device for one in cases if one.device), default=_USUAL)
    elapsed = max(1.0, min(asked.period.end, asked.now) - max(asked.period.begin, begun))
    of_regions = [one for one in cases if one.region != THE_ORIGIN]
    regions = max(1, len({one.region for one in of_regions}))
    held = _sum(_held(one.counted) for one in of_regions)
    return Circumstances(
        prices.middle_mile[0].per_gb,
        prices.device(prices.priced_as(device)),
        held / elapsed / regions,
        hit_ratio,
    )


def _with_all_devices(one: Counted, device: str) -> Usage:
    """The usage with the seconds of every device, as if they were one."""
    if len(one.devices) < 2:
        return one.usage(device)
    busy = sum(seconds.busy for seconds in one.devices.values())
    idle = sum(seconds.idle for seconds in one.devices.values())
    qa = sum(seconds.qa for seconds in one.devices.values())
    return replace(one.usage(device), busy_s=busy, idle_s=idle, qa_s=qa)


def _held(one: Counted) -> float:
    return sum(seconds.busy + seconds.idle + seconds.qa for seconds in one.devices.values())


def _sum(many: Iterable[float]) -> float:
    """Of numbers, or of all that is in arrays of them."""
    return sum(float(np.sum(one)) for one in many)
