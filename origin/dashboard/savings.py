"""What was saved: today, this month, since the start; and of any days by property, region, family
and day. Each is a sum of the same differences, so all of them add up.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from origin.dashboard.asked import Asked
from origin.economics.chosen_books import Books
from origin.economics.costs import Statement
from origin.ledger.reading import Reader
from origin.ledger.running import Place, Priced, statements, total
from origin.ledger.spans import day_of, month_of, months_between, today

PARTS = ("haul_avoided", "busy", "idle", "qa", "sync", "models", "replicas", "storage")


class Money(msgspec.Struct, frozen=True):
    """``saved`` is ``haul_avoided`` less the other parts, in one currency."""

    currency: str
    saved: float
    haul_avoided: float
    busy: float
    idle: float
    qa: float
    sync: float
    models: float
    replicas: float
    storage: float

    @classmethod
    def of(cls, statement: Statement) -> "Money":
        parts = {name: getattr(statement, name) for name in PARTS}
        return cls(currency=statement.currency, saved=statement.saved, **parts)


class Headline(msgspec.Struct, frozen=True):
    """Each by currency, the first of which has most of it; empty before the first minute."""

    today: list[Money]
    month: list[Money]
    since_start: list[Money]
    since: str | None


class Share(msgspec.Struct, frozen=True):
    """The part of the money that goes by this name."""

    name: str
    money: Money


@dataclass(frozen=True)
class Earned:
    """Money of some days: ``spans`` are the days (or months) with their numbers in ``priced``."""

    asked: Asked
    spans: list[tuple[str, list[int]]]
    priced: Priced

    @property
    def all(self) -> list[Money]:
        return _by_currency(self.priced.of(self._periods()))

    def by_span(self) -> list[Share]:
        return [
            Share(name, money)
            for name, periods in self.spans
            for money in _by_currency(self.priced.of(periods))
        ]

    def by_property(self) -> list[Share]:
        return self._by(0)

    def by_region(self) -> list[Share]:
        return self._by(1)

    def places(self) -> list[tuple[Place, Statement]]:
        """Each place's, by currency."""
        periods = self._periods()
        return [
            (place, one)
            for number, place in enumerate(self.priced.places)
            for one in self.priced.of(periods, [number])
        ]

    def _by(self, part: int) -> list[Share]:
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for number, place in enumerate(self.priced.places):
            groups[place[part]].append(number)
        periods = self._periods()
        return [
            Share(name, money)
            for name in sorted(groups)
            for money in _by_currency(self.priced.of(periods, groups[name]))
        ]

    def _periods(self) -> list[int]:
        return [number for _, numbers in self.spans for number in numbers]


def headline(reader: Reader, books: Books, asked: Asked) -> Headline:
    """Only what was asked's scope and zone count here, not its days."""
    begun_at = reader.begun_at()
    if begun_at is None:
        return Headline([], [], [], None)
    here = asked.today
    begun = min(here, today(begun_at, asked.zone))
    month = month_of(here)
    cuts = books.changes()
    periods = [
        *months_between(month_of(begun), month, asked.zone, cuts),
        *months_between(month, here, asked.zone, cuts),
        day_of(here, asked.zone),
    ]
    found = statements(reader, periods, books, asked.scope)
    of_month = [number for number, period in enumerate(periods) if period.day >= month]
    return Headline(
        today=_by_currency(found.of(of_month[-1:])),
        month=_by_currency(found.of(of_month)),
        since_start=_by_currency(found.of()),
        since=begun.isoformat(),
    )


def earned(reader: Reader, books: Books, asked: Asked) -> Earned:
    """The money of the days that were asked for."""
    periods = asked.periods(books.changes())
    spans: dict[str, list[int]] = {}
    for number, period in enumerate(periods):
        if period.day >= asked.first:
            day = month_of(period.day) if asked.by_month else period.day
            spans.setdefault(day.isoformat(), []).append(number)
    priced = statements(reader, periods, books, asked.scope)
    return Earned(asked, list(spans.items()), priced)


def by_family(reader: Reader, found: Earned) -> list[Share]:
    """A place's money by family, as ``property/family``.

    What hauling would have cost goes by avoided bytes, machines by busy seconds. Records, models
    and storage are the whole property's, and so is what no family had a part in.
    """
    asked = found.asked
    avoided: defaultdict[Place, dict[str, float]] = defaultdict(dict)
    busy: defaultdict[Place, dict[str, float]] = defaultdict(dict)
    for row in reader.families(asked.period, asked.scope):
        property, region, family = row.labels
        bytes_kept = max(0.0, row["avoidable_bytes"] - row["middle_mile_bytes"])
        avoided[property, region][family] = bytes_kept
        busy[property, region][family] = row["busy_s"]
    groups: defaultdict[str, list[Statement]] = defaultdict(list)
    for place, one in found.places():
        for family, part in _shared(one, avoided[place], busy[place]):
            name = f"{place[0]}/{family}" if family else f"{place[0]}, the whole property"
            groups[name if place[0] else ""].append(part)
    return [Share(name, money) for name in sorted(groups) for money in _by_currency(groups[name])]


def _shared(
    one: Statement, avoided: dict[str, float], busy: dict[str, float]
) -> Iterable[tuple[str, Statement]]:
    kept, worked = sum(avoided.values()), sum(busy.values())
    rest = one
    for family in sorted(avoided.keys() | busy.keys()):
        hauled = avoided.get(family, 0.0) / kept if kept else 0.0
        device = busy.get(family, 0.0) / worked if worked else 0.0
        part = Statement(
            one.currency,
            haul_avoided=one.haul_avoided * hauled,
            busy=one.busy * device,
            idle=one.idle * device,
            qa=one.qa * device,
            sync=0.0,
            models=0.0,
            replicas=0.0,
            storage=0.0,
        )
        rest = rest - part
        if family:
            yield family, part
        else:
            rest = rest + part
    yield "", rest


def _by_currency(many: Iterable[Statement]) -> list[Money]:
    found = [Money.of(one) for one in total(many).values()]
    return sorted(found, key=lambda money: (-abs(money.saved), money.currency))
