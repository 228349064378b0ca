"""Money of the ledger's past, by property and region: what a month has come to so far, and each
span's part of it as the difference between two such sums. Derived in docs/economics.md.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from origin.economics.chosen_books import Books
from origin.economics.costs import Statement, Usage, saved
from origin.economics.forecast import MONTH_S
from origin.economics.price_book import GB, Prices
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import EVERYTHING, Reader, Row, Scope
from origin.ledger.spans import Period, month_of
from origin.ledger.tables import DAY_S, DEVICE_PARTS, HELD, USAGE, WORK

Place = tuple[str, str]
"""A property in a region. Machines that no property used are of the property with no name."""

_COUNTED = tuple(column.name for column in USAGE.c if not column.primary_key)
_QUESTIONS = (
    (USAGE, ("property", "region"), _COUNTED),
    (WORK, ("region", "device", "property"), DEVICE_PARTS),
    (HELD, ("region", "device"), ("allocated_s",)),
)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A device's allocated time: a region's in its two parts, or the origin's."""

    busy: float = 0.0
    idle: float = 0.0
    qa: float = 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of one property in one region, with its share of each device."""

    sums: Mapping[str, float]
    devices: Mapping[str, Seconds]

    def usage(self, device: str) -> Usage:
        """Everything, with the seconds of one device.

        ``avoided`` is below 0 where two ways were tried and both hauled.
        """
        count = self.sums
        seconds = self.devices.get(device, Seconds())
        return Usage(
            hauled_bytes=count["hauled_bytes"],
            hauled_requests=count["misses"] - count["kept_misses"],
            avoided_bytes=count["avoidable_bytes"] - count["hauled_bytes"],
            avoided_requests=count["kept_misses"],
            sync_bytes=count["sync_bytes"],
            model_bytes=count["model_bytes"],
            replica_bytes=count["replica_bytes"],
            busy_s=seconds.busy,
            idle_s=seconds.idle,
            qa_s=seconds.qa,
            stored_gb_months=count["kept_byte_s"] / GB / MONTH_S,
        )

    def statement(self, prices: Prices, currency: str) -> Statement:
        """Priced; a device that the book does not have as the dearest that it has."""
        first, *others = sorted(self.devices) or [""]
        total = saved(self.usage(first), _pricing(prices, first), first, currency)
        for name in others:
            seconds = self.devices[name]
            only = Usage(busy_s=seconds.busy, idle_s=seconds.idle, qa_s=seconds.qa)
            total += saved(only, _pricing(prices, name), name, currency)
        return total


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a period is counted by: the answers to :data:`_QUESTIONS`."""

    usage: Sequence[Row]
    work: Sequence[Row]
    held: Sequence[Row]


@dataclass
class Running:
    """Sums since a month began: counts by place, busy seconds by region, device and property,
    allocated ones by region and device."""

    counts: defaultdict[Place, dict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: dict.fromkeys(_COUNTED, 0.0))
    )
    busy: defaultdict[tuple[str, str], defaultdict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    held: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def add(self, reader: Reader, period: Period, region: str = "") -> None:
        """Count a period in. All properties always: a machine's idle time is everybody's."""
        scope = _in_region(region)
        self.count(
            _Rows(*(reader.read(table, by, sums, period, scope) for table, by, sums in _QUESTIONS))
        )

    def count(self, rows: "_Rows") -> None:
        for row in rows.usage:
            place = self.counts[row.labels[0], row.labels[1]]
            for name, value in row.sums.items():
                place[name] += value
        for row in rows.work:
            where, device, property = row.labels
            self.busy[where, device][property] += sum(row[part] for part in DEVICE_PARTS)
        for row in rows.held:
            self.held[row.labels[0], row.labels[1]] += row["allocated_s"]

    def shared(self) -> dict[Place, Counted]:
        """Every place with its share of the devices.

        Idle time is shared by busy time; of a device that nobody used evenly among the properties
        that were asked for there, and where none was it is nobody's.
        """
        devices: defaultdict[Place, dict[str, Seconds]] = defaultdict(dict)
        for region, device in self.held.keys() | self.busy.keys():
            used = {p: s for p, s in self.busy.get((region, device), {}).items() if s > 0}
            busy = sum(used.values())
            idle = max(0.0, self.held.get((region, device), 0.0) - busy)
            here = [
                p for (p, where), sums in self.counts.items() if where == region and sums["answers"]
            ]
            shares = used or dict.fromkeys(here or [""], 1.0)
            total = sum(shares.values())
            for property, share in shares.items():
                mine = used.get(property, 0.0), idle * share / total
                seconds = Seconds(qa=sum(mine)) if region == THE_ORIGIN else Seconds(*mine)
                devices[property, region][device] = seconds
        nothing = dict.fromkeys(_COUNTED, 0.0)
        return {
            place: Counted(dict(self.counts.get(place, nothing)), devices.get(place, {}))
            for place in self.counts.keys() | devices.keys()
        }


def statements(
    reader: Reader, periods: Sequence[Period], books: Books, scope: Scope = EVERYTHING
) -> Iterator[tuple[Period, dict[Place, Statement]]]:
    """Each period's part of its month, by place. Periods follow one another, and the first one
    begins with a month; none reaches into the next month."""
    running, month = Running(), None
    before: dict[Place, _Priced] = {}
    days = _days(reader, periods, scope.region)
    for period in periods:
        if month_of(period.day) != month:
            running, month, before = Running(), month_of(period.day), {}
        if (rows := days.get(period.begin)) is not None:
            running.count(rows)
        else:
            running.add(reader, period, scope.region)
        after = {place: one for place, one in running.shared().items() if scope.has(*place)}
        priced = {
            place: _Priced(one, *books.prices(*place, period.day)) for place, one in after.items()
        }
        yield period, {place: one.since(before.get(place)) for place, one in priced.items()}
        before = priced


def _days(reader: Reader, periods: Sequence[Period], region: str) -> dict[int, _Rows]:
    """Of the periods that are days of the ledger's own, by when they begin."""
    begins = [
        one.begin for one in periods if one.begin % DAY_S == 0 and one.end - one.begin == DAY_S
    ]
    if not begins:
        return {}
    first = min(begins)
    whole = Period(first, max(begins) + DAY_S, datetime.date.fromtimestamp(first))
    found = [
        reader.days(table, by, sums, whole, _in_region(region)) for table, by, sums in _QUESTIONS
    ]
    return {begin: _Rows(*(rows.get(begin, []) for rows in found)) for begin in begins}


def _in_region(region: str) -> Scope:
    return Scope(region=region) if region else EVERYTHING


def total(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Sums by currency: what is in two currencies is two sums."""
    found: dict[str, Statement] = {}
    for one in statements:
        found[one.currency] = found[one.currency] + one if one.currency in found else one
    return found


class _Priced:
    """A month so far, at one day's prices."""

    def __init__(self, counted: Counted, prices: Prices, currency: str) -> None:
        self.counted = counted
        self.prices = prices
        self.currency = currency
        self.statement = counted.statement(prices, currency)

    def since(self, before: "_Priced | None") -> Statement:
        """What came after ``before``, at these prices."""
        if before is None:
            return self.statement
        if before.prices is self.prices:
            return self.statement - before.statement
        return self.statement - before.counted.statement(self.prices, self.currency)


def _pricing(prices: Prices, device: str) -> Prices:
    if not device or device in prices.device_per_hour:
        return prices
    return prices.with_device(device, prices.device(prices.priced_as(device)))
