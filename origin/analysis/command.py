"""The work of ``./rehydrate analyse``: places and logs in, the hit list out, kept in a folder."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from kvsync.errors import InputError, OriginUnavailable
from kvsync.files import write_file
from origin.analysis.demand import ByPath, by_path, monthly, prefixes_of
from origin.analysis.families import Family
from origin.analysis.hits import Hit, Market, hit_of, ranked, taken_as
from origin.analysis.listing import open_place
from origin.analysis.looking import Progress
from origin.analysis.network import FeatureNetwork
from origin.analysis.own_ledger import read_ledger
from origin.analysis.place import Place
from origin.analysis.store import Store
from origin.analysis.survey import Inventory, families_in, take_stock
from origin.analysis.traffic import Traffic, read_traffic
from origin.database import Database
from origin.economics.price_book import preset, read_price_book

LIST: Final = "hits.json"
# Families looked at more closely, the most hauled first; the others are listed by size.
MOST_SAMPLED: Final = 200


class HitList(msgspec.Struct, frozen=True):
    """What was found on a day: the list, and what the inventory says of what is not in it."""

    day: datetime.date
    hits: tuple[Hit, ...]
    notes: tuple[str, ...]
    together: tuple[str, ...] = ()
    network: str = ""


@dataclass(frozen=True)
class Wanted:
    """What to analyse. ``places`` by customer, as a person writes them; ``logs`` by customer, ""
    for all; ``ledger`` is read for customers without logs, who are its properties; ``together``
    lists customers who opted in to be compared with one another; ``network`` is the folder of a
    feature network."""

    places: Mapping[str, str]
    logs: Sequence[tuple[str, Path]] = ()
    ledger: Database | None = None
    together: Sequence[str] = ()
    prefix: str | None = None
    bytes_from: str | None = None
    endpoint_url: str | None = None
    prices: str = "seed"
    workers: int | None = None
    network: Path | None = None


def analyse(wanted: Wanted, folder: Path, console: Console) -> HitList:
    """Survey the places into ``folder``, and write the list there; what it had of other customers
    stays in it, and so does what was taken.

    Everything that can be skipped is counted and told; raises InputError for a place or price book
    that is none, OriginUnavailable where nothing of any place could be listed, now or before.
    """
    places = _open(wanted)
    market = _market(wanted.prices)
    network = FeatureNetwork(wanted.network) if wanted.network else None
    asked = network.name if network else ""
    notes: list[str] = []
    with Store(folder / "inventory.db") as store:
        stocks = [
            _survey(store, customer, wanted, place, network, console)
            for customer, place in places.items()
        ]
        if broken := _never_listed(stocks):
            raise OriginUnavailable(broken)
        for found in stocks:
            notes += _said(found)
        console.print("grouping", style="dim")
        pools = [sorted(wanted.together)] if wanted.together else []
        families = [
            one
            for one in families_in(store, pools, asked)
            if not wanted.places.keys().isdisjoint(one.customers)
        ]
    demand, days = _demand(wanted, notes)
    known = list_in(folder)
    before = known.hits if known else ()
    others = [hit for hit in before if wanted.places.keys().isdisjoint(hit.customers)]
    found_now = taken_as(
        list(_hits(families, places, demand, days, market)), {hit.id: hit.taken for hit in before}
    )
    hits = ranked([*found_now, *others])
    made = HitList(market.day, tuple(hits), tuple(notes), tuple(wanted.together), asked)
    write_file(folder / LIST, msgspec.json.encode(made))
    return made


def list_in(folder: Path) -> HitList | None:
    """None where nothing was analysed into the folder yet."""
    return read_list(folder) if (folder / LIST).is_file() else None


def read_list(folder: Path) -> HitList:
    """The list that ``analyse`` wrote; InputError before that."""
    try:
        return msgspec.json.decode((folder / LIST).read_bytes(), type=HitList)
    except FileNotFoundError:
        raise InputError(f"{folder}: no hit list yet; run ./rehydrate analyse PATH") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{folder / LIST}: not a hit list: {error}") from error


def find(folder: Path, id: str) -> tuple[Family, Mapping[str, Place]]:
    """A family of the list, with its members as the store knows them, and its customers' places."""
    found_then = read_list(folder)
    together = found_then.together
    with Store(folder / "inventory.db") as store:
        named = dict(store.customers())
        pools = [sorted(together)] if together else []
        families = families_in(store, pools, found_then.network)
    found = [family for family in families if family.id == id]
    if not found:
        raise InputError(f"{folder}: no family {id!r}; the list has them by id")
    return found[0], {name: open_named(named[name]) for name in found[0].customers}


def named_place(where: str, endpoint_url: str | None, bytes_from: str | None) -> str:
    """All that it takes to open a place again, from any folder, in a line."""
    pictures = _from_anywhere(bytes_from) if bytes_from else ""
    return "\t".join([_from_anywhere(where), endpoint_url or "", pictures])


def _from_anywhere(place: str) -> str:
    return place if place.startswith("s3://") else str(Path(place).resolve())


def open_named(name: str) -> Place:
    where, endpoint_url, bytes_from = name.split("\t")
    return open_place(where, endpoint_url or None, bytes_from or None)


def _open(wanted: Wanted) -> dict[str, Place]:
    if unknown := sorted(set(wanted.together) - wanted.places.keys()):
        raise InputError(f"--share names {unknown[0]!r}, who has no place here")
    return {
        customer: open_place(where, wanted.endpoint_url, wanted.bytes_from)
        for customer, where in wanted.places.items()
    }


def _market(prices: str) -> Market:
    book = read_price_book(Path(prices)) if prices.endswith(".toml") else preset(prices)
    return Market(book, datetime.date.today())


def _survey(
    store: Store,
    customer: str,
    wanted: Wanted,
    place: Place,
    network: FeatureNetwork | None,
    console: Console,
) -> Inventory:
    name = named_place(wanted.places[customer], wanted.endpoint_url, wanted.bytes_from)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(customer, total=None, rate=0.0)

        def told(doing: str, at: Progress) -> None:
            text = f"{customer}: {doing}"
            bar.update(task, description=text, total=at.total, completed=at.done, rate=at.rate)

        return take_stock(store, customer, name, place, wanted.workers, told, network)


def _never_listed(stocks: Sequence[Inventory]) -> str:
    """What went wrong where an empty list would pass for an empty bucket; "" elsewhere."""
    errors = [error for found in stocks for error in found.errors]
    return errors[0] if errors and not any(found.counts.assets for found in stocks) else ""


def _said(found: Inventory) -> list[str]:
    """An inventory in lines: what there is, and what was left out, with examples."""
    counts = found.counts
    lines = [
        f"{found.customer}: {counts.assets:,} files, {counts.total_bytes / 1e6:,.1f} MB; "
        f"{counts.looked_at:,} read ({found.read_now:,} in this run), "
        f"{found.duplicates:,} exact duplicates, {found.gone:,} gone"
    ]
    if found.turned:
        lines.append(f"{found.customer}: {found.turned:,} turned upright as EXIF says")
    for kind, count in sorted(found.skipped.items()):
        lines.append(f"{found.customer}: {count:,} skipped, {kind}: {found.examples[kind][0]}")
    return lines + [f"{found.customer}: {error}" for error in found.errors]


def _demand(wanted: Wanted, notes: list[str]) -> tuple[dict[str, ByPath], int]:
    """Demand by customer and path, and the days that logs span."""
    found: dict[str, ByPath] = {}
    first: datetime.date | None = None
    last: datetime.date | None = None
    for customer in wanted.places:
        logs = [log for whose, log in wanted.logs if whose in ("", customer)]
        if wanted.ledger is not None and not logs:
            traffic = read_ledger(wanted.ledger, customer)
        else:
            traffic = read_traffic(logs, wanted.workers or 1)
        found[customer] = by_path(traffic.demand, prefixes_of(customer, wanted.prefix))
        notes += _of_logs(traffic)
        if traffic.first is not None and traffic.last is not None:
            first = min(first or traffic.first, traffic.first)
            last = max(last or traffic.last, traffic.last)
    return found, 0 if first is None or last is None else (last - first).days + 1


def _of_logs(traffic: Traffic) -> list[str]:
    if not traffic.lines and not traffic.unread:
        return traffic.said
    left = ", ".join(f"{count:,} {why}" for why, count in sorted(traffic.left_out.items()))
    days = "1 day" if traffic.days == 1 else f"{traffic.days} days"
    lines = [f"logs: {traffic.lines:,} lines over {days}; left out: {left or 'none'}"]
    lines += [f"logs: for example {line[:80]!r}" for line in traffic.examples]
    return lines + [f"logs: {path} not read: {why}" for path, why in traffic.unread.items()]


def _hits(
    families: Sequence[Family],
    places: Mapping[str, Place],
    demand: Mapping[str, ByPath],
    days: int,
    market: Market,
) -> Iterator[Hit]:
    traffic = {one.id: monthly(one, demand[one.customers[0]], days) for one in families}

    def most_hauled(family: Family) -> tuple[float, int]:
        return -sum(one.missed_bytes for one in traffic[family.id]), -family.total_bytes

    for at, family in enumerate(sorted(families, key=most_hauled)):
        place = places[family.customers[0]] if at < MOST_SAMPLED else None
        yield hit_of(family, place, traffic[family.id], market)
