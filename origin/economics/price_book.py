"""Price books: what a property pays in a region, from which day on.

A book is a TOML file; ``origin/economics/prices/`` has some for common cases, each with its source.
A change of price is another ``[[prices]]`` with a later ``since``: what is past stays as it was.
Money is in the book's currency; a GB is 10^9 bytes, a month 30 days where prices are by the month.
"""

import datetime
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from kvsync.errors import InputError

PRESETS = Path(__file__).resolve().parent / "prices"
GB = 1e9
_H200, _H200_PER_HOUR, _IN = "h200", 3.0, "USD"

Money = Annotated[float, Meta(ge=0, le=1e9)]


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price of each GB in a month up to ``up_to_gb``; the last tier has no end."""

    per_gb: Money
    up_to_gb: Annotated[float, Meta(gt=0)] | None = None


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds from the day ``since`` on.

    ``middle_mile`` are the tiers of a calendar month's bytes from origin to region,
    ``per_million_requests`` the origin's fee for answering, ``storage_per_gb_month`` of what is
    kept in the region, ``device_per_hour`` what a generator's machine costs, by its name.
    """

    since: datetime.date
    middle_mile: Annotated[tuple[Tier, ...], Meta(min_length=1)]
    device_per_hour: Mapping[str, Money]
    per_million_requests: Money = 0.0
    storage_per_gb_month: Money = 0.0

    def hauling(self, month_bytes: float) -> float:
        """The cost of a calendar month's bytes over the middle mile; of an array's, one by one."""
        gb, below, before, cost = month_bytes / GB, 0.0, 0.0, 0.0
        for tier in self.middle_mile:
            # What lies above the tier's begin: (x + |x|) / 2 is x where x is more than 0, else 0.
            above = (gb - below + abs(gb - below)) / 2 if below else gb
            cost += above * (tier.per_gb - before)
            below, before = tier.up_to_gb or below, tier.per_gb
        return cost

    def priced_as(self, name: str) -> str:
        """The device itself where the book has it, else the dearest that it has: a saving is never
        told for a machine whose price nobody knows. :class:`InputError` for a book without any."""
        if name in self.device_per_hour:
            return name
        if not self.device_per_hour:
            raise InputError(f"no price for the device {name!r}; the book has none")
        return max(self.device_per_hour, key=lambda known: self.device_per_hour[known])

    def with_device(self, name: str, per_hour: float) -> "Prices":
        """The same, but for what one device costs."""
        return msgspec.structs.replace(
            self, device_per_hour={**self.device_per_hour, name: per_hour}
        )

    def device(self, name: str) -> float:
        """Per hour; :class:`InputError` for one that the book does not price."""
        if name not in self.device_per_hour:
            known = ", ".join(sorted(self.device_per_hour))
            raise InputError(f"no price for the device {name!r}; the book has {known}")
        return self.device_per_hour[name]


class PriceBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dated prices in one currency, with where they were found and when."""

    name: str
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
    source: Annotated[str, Meta(min_length=1)]
    checked: datetime.date
    prices: Annotated[tuple[Prices, ...], Meta(min_length=1)]

    def on(self, day: datetime.date) -> Prices:
        """The prices of ``day``; :class:`InputError` for a day before the book begins."""
        found = [one for one in self.prices if one.since <= day]
        if not found:
            raise InputError(f"price book {self.name}: begins {self.prices[0].since}, after {day}")
        return found[-1]


def read_price_book(path: Path) -> PriceBook:
    """Read and check a book; :class:`InputError` says which line of it is wrong."""
    try:
        return parse_price_book(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read the price book: {error.strerror}") from error


def parse_price_book(toml: bytes, name: str) -> PriceBook:
    """Check a book's bytes; :class:`InputError` tells the fault, and ``name`` as where it is."""
    try:
        book = msgspec.toml.decode(toml, type=PriceBook)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not a price book: {error}") from error
    for before, after in pairwise(book.prices):
        if after.since <= before.since:
            raise InputError(f"{name}: prices since {after.since} stand after {before.since}")
    for prices in book.prices:
        _check_tiers(name, prices)
    return _with_h200(book)


def _with_h200(book: PriceBook) -> PriceBook:
    """An H200 costs the same everywhere unless the book says otherwise, or is in other money."""
    if book.currency != _IN:
        return book
    prices = tuple(
        one if _H200 in one.device_per_hour else one.with_device(_H200, _H200_PER_HOUR)
        for one in book.prices
    )
    return msgspec.structs.replace(book, prices=prices)


def preset(name: str) -> PriceBook:
    """A book that is shipped; :class:`InputError` names them for another name."""
    path = PRESETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in PRESETS.glob("*.toml")))
        raise InputError(f"no price book {name!r}; shipped are {known}")
    return read_price_book(path)


def _check_tiers(name: str, prices: Prices) -> None:
    ends = [tier.up_to_gb for tier in prices.middle_mile]
    bounds = [end for end in ends[:-1] if end is not None]
    if ends[-1] is not None or len(bounds) != len(ends) - 1 or bounds != sorted(set(bounds)):
        raise InputError(
            f"{name}: middle_mile since {prices.since}: each tier needs a larger up_to_gb "
            "than the one before it, and the last has none"
        )
