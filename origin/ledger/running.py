"""Money of the ledger's past, by property and region: what a month has come to so far, and each
span's part of it as the difference between two such sums. Derived in docs/economics.md.

All places and periods are computed at once: arrays are (period, place) unless said otherwise.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import cast

import numpy as np
from numpy.typing import NDArray

from origin.economics.chosen_books import Books
from origin.economics.costs import Statement, Usage, one_by_one, saved
from origin.economics.forecast import MONTH_S
from origin.economics.months import Floats, before, run_on
from origin.economics.price_book import GB, Prices
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import EVERYTHING, Reader, Scope
from origin.ledger.spans import Period, month_of
from origin.ledger.tables import BUSY, HELD, PACKED_USAGE

Place = tuple[str, str]
"""A property in a region. Machines that no property used are of the property with no name."""

Chosen = NDArray[np.bool_]
Numbers = NDArray[np.intp]
Cells = tuple[Numbers, Numbers]
"""Numbers of periods, and of places."""

_COUNTED = PACKED_USAGE.sums
_PARTS = tuple(part.name for part in fields(Statement))[1:]
_SOMETHING = 1e-6
"""Of seconds, bytes and answers: less is what sums of fractions leave."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """A device's allocated time: a region's in its two parts, or the origin's."""

    busy: float = 0.0
    idle: float = 0.0
    qa: float = 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of one property in one region, with its share of each device. Arrays of
    many places are priced alike."""

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


@dataclass(frozen=True)
class Running:
    """What was counted since the month of each period began, up to the period's end.

    ``sums`` are (sum, period, place), ``busy`` and ``idle`` (device, period, place); ``known`` says
    of which places anything was counted in the month so far.
    """

    places: list[Place]
    devices: list[str]
    sums: Floats
    busy: Floats
    idle: Floats
    known: Chosen

    def busiest(self) -> list[list[str]]:
        """The device that was busiest, by period and place; empty where none was held."""
        held = self.busy + self.idle > 0
        nobody = np.zeros((1, *held.shape[1:]))
        # Of equals the first counts, so that none is chosen only where there is no other.
        most = np.argmax(np.concatenate([np.where(held, self.busy, -1.0), nobody - 0.5]), axis=0)
        names = [*self.devices, ""]
        return [[names[number] for number in row] for row in most.tolist()]

    def counted(self, cells: Cells) -> Counted:
        """Of some periods and places: arrays of one dimension."""
        at_origin = np.array([region == THE_ORIGIN for _, region in self._named(cells[1])])
        devices = {}
        for name, busy, idle in zip(self.devices, self.busy, self.idle, strict=True):
            held = busy[cells], idle[cells]
            if any(one.any() for one in held):
                of_region = (np.where(at_origin, 0.0, one) for one in held)
                of_origin = np.where(at_origin, sum(held), 0.0)
                devices[name] = Seconds(*(one_by_one(one) for one in (*of_region, of_origin)))
        sums = {name: one_by_one(one[cells]) for name, one in zip(_COUNTED, self.sums, strict=True)}
        return Counted(sums, devices)

    def before(self, months: Sequence[date]) -> "Running":
        """What of each period's month had been counted before the period began."""
        sums, busy, idle = (before(of, months) for of in (self.sums, self.busy, self.idle))
        return replace(self, sums=sums, busy=busy, idle=idle)

    def _named(self, numbers: Numbers) -> Iterator[Place]:
        return (self.places[number] for number in numbers)


def running(
    reader: Reader, periods: Sequence[Period], region: str = "", *, apart: bool = False
) -> Running:
    """Periods follow one another; those that are ``apart`` have no month in common. All properties
    always: idle time of a machine is everybody's."""
    scope = Scope(region=region) if region else EVERYTHING
    usage = reader.each(PACKED_USAGE, ("property", "region"), _COUNTED, periods, scope)
    work = reader.each(BUSY, ("property", "region", "device"), ("busy_s",), periods, scope)
    held = reader.each(HELD, ("region", "device"), ("allocated_s",), periods, scope)

    nobody = {("", region) for region, _ in held.labels}
    places = sorted({(one[0], one[1]) for one in (*usage.labels, *work.labels)} | nobody)
    regions = sorted({region for _, region in places})
    devices = sorted({one[-1] for one in (*work.labels, *held.labels)})
    of_place = {place: number for number, place in enumerate(places)}
    shape = len(periods), len(places)

    sums, known = np.zeros((len(_COUNTED), *shape)), np.zeros((1, *shape))
    at = _numbers(of_place[one[0], one[1]] for one in usage.labels)
    sums[..., at] = usage.sums.transpose(2, 1, 0)
    # A span that was added and taken off again leaves a label of which nothing is there.
    known[0][:, at] = np.abs(usage.sums).max(axis=2).T > _SOMETHING
    busy = np.zeros((len(devices), *shape))
    at = _numbers(of_place[one[0], one[1]] for one in work.labels)
    device = _numbers(devices.index(one[2]) for one in work.labels)
    busy[device, :, at] = work.sums[..., 0]
    allocated = np.zeros((len(devices), len(periods), len(regions)))
    at = _numbers(regions.index(one[0]) for one in held.labels)
    device = _numbers(devices.index(one[1]) for one in held.labels)
    allocated[device, :, at] = held.sums[..., 0]

    if not apart:
        months = [month_of(period.day) for period in periods]
        sums, known, busy, allocated = (run_on(of, months) for of in (sums, known, busy, allocated))
    answered = sums[_COUNTED.index("answers")] > 0
    where = [regions.index(region) for _, region in places]
    idle = _idle(busy, allocated, answered, where, [not property for property, _ in places])
    seen = known[0] + busy.sum(axis=0) + idle.sum(axis=0) > _SOMETHING
    return Running(places, devices, sums, busy, idle, seen)


def _idle(
    busy: Floats, allocated: Floats, answered: Chosen, region: list[int], is_nobody: list[bool]
) -> Floats:
    """Each place's share of the time that machines waited, (device, period, place).

    Idle time is shared by busy time; of a device that nobody used evenly among the properties
    that were asked for there, and where none was it is nobody's. ``allocated`` is (device, period,
    region).
    """
    there = np.equal.outer(region, np.arange(allocated.shape[2])).astype(np.float64)
    worked = busy @ there
    waited = np.maximum(0.0, allocated - worked)[..., region]
    asked = answered.astype(np.float64)
    asked_there = (asked @ there)[..., region]
    unused = np.where(asked_there > 0, _share(asked, asked_there), np.array(is_nobody, float))
    used = worked[..., region]
    return cast(Floats, waited * np.where(used > 0, _share(busy, used), unused))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


@dataclass(frozen=True)
class Priced:
    """Each period's part of its month: ``amounts`` by currency are (part, period, place), and
    ``known`` says of which places anything was counted."""

    places: list[Place]
    amounts: Mapping[str, Floats]
    known: Mapping[str, Chosen]

    def of(
        self, periods: Sequence[int] | None = None, places: Sequence[int] | None = None
    ) -> list[Statement]:
        """Sums over some periods and places (None: all), by currency; of none before anything was
        counted in it."""
        found = []
        for currency, amounts in self.amounts.items():
            known = self.known[currency]
            if periods is not None:
                amounts, known = amounts[:, periods], known[periods]
            if places is not None:
                amounts, known = amounts[..., places], known[:, places]
            if known.any():
                found.append(Statement(currency, *amounts.sum(axis=(1, 2)).tolist()))
        return found


def statements(
    reader: Reader, periods: Sequence[Period], books: Books, scope: Scope = EVERYTHING
) -> Priced:
    """Each period's part of its month, by place: what the month has come to up to its end, less
    what it had before, both at the period's prices. A change of price leaves the past as it was.

    Periods follow one another, and the first one begins with a month; none reaches into the next.
    """
    after = running(reader, periods, scope.region)
    before = after.before([month_of(period.day) for period in periods])
    amounts: dict[str, Floats] = {}
    known: dict[str, Chosen] = {}
    for prices, currency, chosen in _by_prices(books, periods, after, scope):
        rows, columns = np.nonzero(chosen)
        cells = rows, columns
        was, now = (one.counted(cells).statement(prices, currency) for one in (before, after))
        mine = amounts.setdefault(currency, np.zeros((len(_PARTS), *chosen.shape)))
        for number, part in enumerate(_PARTS):
            mine[number][cells] = getattr(now, part) - getattr(was, part)
        known[currency] = known.get(currency, False) | chosen
    return Priced(after.places, amounts, known)


def _by_prices(
    books: Books, periods: Sequence[Period], counted: Running, scope: Scope
) -> Iterator[tuple[Prices, str, Chosen]]:
    """Which places of which periods pay by the same prices; those that nothing is known of do
    not."""
    mine = [(number, place) for number, place in enumerate(counted.places) if scope.has(*place)]
    changes = books.changes()
    found: dict[tuple[int, str], tuple[Prices, str, Chosen]] = {}
    paying: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for row, period in enumerate(periods):
        if not row or any(periods[row - 1].day < day <= period.day for day in changes):
            paying.clear()
            for number, place in mine:
                prices, currency = books.prices(*place, period.day)
                name = id(prices), currency
                if name not in found:
                    found[name] = prices, currency, np.zeros(counted.known.shape, np.bool_)
                paying[name].append(number)
        for name, numbers in paying.items():
            found[name][2][row, numbers] = counted.known[row, numbers]
    return (one for one in found.values() if one[2].any())


def total(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Sums by currency: what is in two currencies is two sums."""
    found: dict[str, Statement] = {}
    for one in statements:
        found[one.currency] = found[one.currency] + one if one.currency in found else one
    return found


def _numbers(many: Iterable[int]) -> Numbers:
    return np.fromiter(many, np.intp)


def _pricing(prices: Prices, device: str) -> Prices:
    if not device or device in prices.device_per_hour:
        return prices
    return prices.with_device(device, prices.device(prices.priced_as(device)))
