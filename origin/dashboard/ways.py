"""What the next month would cost each way, family by family, from what the ledger counted last.

Of the thirty days before now: misses and their bytes, the busiest hour, what the generator made a
second, what changed. docs/economics.md says how the three ways are compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import msgspec

from origin.dashboard.facts import NOTHING_KNOWN, Facts, facts_of
from origin.dashboard.words import money, size
from origin.economics.chosen_books import Books
from origin.economics.costs import bill
from origin.economics.forecast import (
    MONTH_S,
    Demand,
    Generator,
    hauling,
    least_images_to_rehydrate,
    least_misses_to_rehydrate,
    least_misses_to_replicate,
    rehydrating,
    replicating,
)
from origin.economics.price_book import Prices
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import Reader, Row, Scope
from origin.ledger.spans import Period
from origin.ledger.tables import (
    DAY_S,
    DEVICE_PARTS,
    HOUR_S,
    MINUTE_S,
    PACKED_USAGE,
    QUARTER_S,
    begin_of,
)

_PEAK_S = 7 * DAY_S

WAYS = ("haul", "replica", "rehydrate")
_ADVICE = {"haul": "Haul", "replica": "Keep a replica", "rehydrate": "Rehydrate"}


class InRegion(msgspec.Struct, frozen=True):
    """One region's month ahead. Costs by way; ``rehydrate`` is None where no machine has made
    pictures of the family yet. Thresholds are None where nothing reaches them."""

    region: str
    currency: str
    images: int
    inventory_bytes: float
    bytes_per_image: float
    misses: float
    misses_per_image: float
    change: float
    peak: float
    device: str
    images_per_s: float | None
    hosts: float | None
    shared: bool
    haul: float
    replica: float
    rehydrate: float | None
    resilience: float | None
    replica_from_misses: float | None
    rehydrate_from_misses: float | None
    rehydrate_from_images: float | None


class FamilyWays(msgspec.Struct, frozen=True):
    """A family's month ahead in all regions: what each policy would cost, and what is cheapest.

    ``cheapest`` is empty, and there is no sum, where that cannot be said: nothing was counted, its
    images are not known, or its regions pay in several currencies. ``saying`` is the honest answer
    in a sentence, ``why`` what speaks for it.
    """

    property: str
    family: str
    images: int
    currency: str
    misses: float
    haul: float | None
    replica: float | None
    rehydrate: float | None
    economical: float | None
    resilience: float | None
    cheapest: str
    saying: str
    why: str
    regions: list[InRegion]


@dataclass(frozen=True)
class _Known:
    """What forecasts of a property are made from."""

    days: float
    answers: Mapping[tuple[str, str], Row]
    rates: Mapping[tuple[str, str], float]
    devices: Mapping[str, str]
    made_by: Mapping[tuple[str, str], str]
    shared: frozenset[tuple[str, str]]
    peaks: Mapping[str, float]
    images: Mapping[str, int]
    sizes: Mapping[str, float]
    changes: Mapping[str, float]
    models: Mapping[str, float]
    record_bytes: float


@dataclass(frozen=True)
class Lately:
    """What the ledger counted from ``begun`` to ``end`` (Unix seconds): answers, work and peaks by
    property, each region's device, and the regions' devices that several families share; with what
    the control plane knows of each property."""

    begun: int
    end: int
    answers: Mapping[str, Mapping[tuple[str, str], Row]]
    work: Mapping[str, list[Row]]
    devices: Mapping[str, str]
    shared: frozenset[tuple[str, str]]
    peaks: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, Facts]


def forecasts(
    reader: Reader,
    books: Books,
    property: str,
    now: float,
    day: date,
    *,
    exact: bool = True,
    counted: Lately | None = None,
) -> list[FamilyWays]:
    """Every family of the property; without ``exact`` thresholds are left out, which takes less.
    Who asks of many properties has :func:`lately` ``counted`` once for all."""
    known = _known(property, counted or lately(reader, now, property))
    families = sorted({family for _, family in known.answers if family} | known.images.keys())
    return [_family(known, books, property, family, day, exact) for family in families]


def _family(
    known: _Known, books: Books, property: str, family: str, day: date, exact: bool
) -> FamilyWays:
    images = known.images.get(family, 0)
    regions = []
    for (region, name), row in sorted(known.answers.items()):
        if name == family and row["misses"] and images:
            prices, currency = books.prices(property, region, day)
            regions.append(_region(known, family, region, row, prices, currency, exact))
    currencies = {one.currency for one in regions}
    costs: dict[str, float] = {}
    if len(currencies) == 1:
        costs = {way: sum(getattr(one, way) for one in regions) for way in ("haul", "replica")}
        rehydrate = _all([one.rehydrate for one in regions])
        costs |= {} if rehydrate is None else {"rehydrate": rehydrate}
    inventory = max((one.inventory_bytes for one in regions), default=0.0)
    cheapest = min(costs, key=lambda way: costs[way], default="")
    why = _why(images, costs, cheapest, inventory, "/".join(currencies))
    return FamilyWays(
        property,
        family,
        images,
        "/".join(sorted(currencies)),
        sum(one.misses for one in regions),
        costs.get("haul"),
        costs.get("replica"),
        costs.get("rehydrate"),
        min(costs.values(), default=None),
        _all([one.resilience for one in regions]) if len(currencies) == 1 else None,
        cheapest,
        f"{_ADVICE[cheapest]}: {why}" if "rehydrate" in costs else why,
        why,
        regions,
    )


def _region(
    known: _Known,
    family: str,
    region: str,
    row: Row,
    prices: Prices,
    currency: str,
    exact: bool,
) -> InRegion:
    images = known.images[family]
    weight = row["avoidable_bytes"] / row["misses"] or known.sizes.get(family, 0.0)
    misses = row["misses"] * MONTH_S / (known.days * DAY_S)
    demand = Demand(
        images, weight, misses, known.changes.get(family, 0.0), known.peaks.get(region, 1.0)
    )
    device = known.made_by.get((region, family), known.devices.get(region, ""))
    rate = known.rates.get((device, family), known.rates.get((device, "")))
    shared = (region, device) in known.shared
    generator = None
    if rate is not None:
        prices = prices.with_device(device, prices.device(prices.priced_as(device)))
        sizes = known.models.get(family, 0.0), known.record_bytes
        generator = Generator(device, rate, *sizes, shared=shared)
    thresholds: list[float | None] = [None, None, None]
    if exact:
        thresholds[0] = least_misses_to_replicate(demand, prices)
    if exact and generator:
        thresholds[1] = least_misses_to_rehydrate(demand, generator, prices)
        thresholds[2] = least_images_to_rehydrate(demand, generator, prices)
    return InRegion(
        region,
        currency,
        images,
        demand.inventory_bytes,
        weight,
        misses,
        demand.misses_per_image,
        demand.change,
        demand.peak,
        device,
        rate,
        generator.hosts(demand) if generator else None,
        shared,
        bill(hauling(demand), prices, device),
        bill(replicating(demand), prices, device),
        bill(rehydrating(demand, generator), prices, device) if generator else None,
        _resilience(demand, generator, prices) if generator else None,
        *thresholds,
    )


def _resilience(demand: Demand, generator: Generator, prices: Prices) -> float:
    """Everything is hauled, and the machines stand by."""
    ready, hauled = rehydrating(demand, generator), hauling(demand)
    stood_by = replace(
        ready,
        hauled_bytes=hauled.hauled_bytes,
        hauled_requests=hauled.hauled_requests,
        busy_s=0.0,
        idle_s=ready.busy_s + ready.idle_s,
    )
    return bill(stood_by, prices, generator.device)


def _why(
    images: int, found: Mapping[str, float], cheapest: str, inventory: float, currency: str
) -> str:
    """What speaks for the honest answer, or why there is none yet."""
    if not images:
        return "How many images it has is not known yet: nothing was dehydrated."
    if not cheapest:
        return (
            "Nothing was missed in the last thirty days, or its regions pay in several currencies."
        )
    if "rehydrate" not in found:
        return "No machine has made its pictures yet, so rehydrating has no price."
    if cheapest == "replica":
        return (
            f"all {images:,} images are {size(inventory)} together, and keeping them costs "
            f"{money(found[cheapest], currency)} a month, less than making or hauling them."
        )
    if cheapest == "haul":
        return "it is missed too seldom for a machine or a replica to pay."
    return "making its pictures in the region is cheaper than hauling or keeping them."


def _all(costs: list[float | None]) -> float | None:
    known = [one for one in costs if one is not None]
    return sum(known) if known and len(known) == len(costs) else None


def lately(reader: Reader, now: float, property: str = "") -> Lately:
    """Read from the ledger for one property, or once for all of them."""
    # The minute that is being counted is known in part.
    end = begin_of(MINUTE_S, int(now)) + MINUTE_S
    begun = max(reader.counted_since() or end, end - int(MONTH_S))
    # What is packed is told by the quarter of an hour; nothing is counted after this minute.
    whole = begin_of(QUARTER_S, int(now)) + QUARTER_S
    period = Period(begin_of(HOUR_S, begun), whole, date.fromtimestamp(begun))
    answers: defaultdict[str, dict[tuple[str, str], Row]] = defaultdict(dict)
    for row in reader.families(period, Scope(property=property)):
        answers[row.labels[0]][row.labels[1], row.labels[2]] = row
    labels = ("region", "device", "property", "family")
    work: defaultdict[str, list[Row]] = defaultdict(list)
    busiest: defaultdict[str, dict[str, float]] = defaultdict(dict)
    families: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for row in reader.held(period):
        busiest[row.labels[0]][row.labels[1]] = row["allocated_s"]
    for row in reader.work(labels, period):
        if row.labels[0] != THE_ORIGIN:
            work[row.labels[2]].append(row)
            busiest[row.labels[0]].setdefault(row.labels[1], 0.0)
            # Starting is work as well, of no family.
            if row.labels[3]:
                families[row.labels[0], row.labels[1]].add((row.labels[2], row.labels[3]))
    return Lately(
        begun,
        end,
        answers,
        work,
        {region: max(some, key=lambda name: some[name]) for region, some in busiest.items()},
        frozenset(device for device, some in families.items() if len(some) > 1),
        _peaks(reader, property, end),
        facts_of(reader.database, begun, property),
    )


def _known(property: str, counted: Lately) -> _Known:
    facts = counted.facts.get(property, NOTHING_KNOWN)
    return _Known(
        days=max(counted.end - counted.begun, HOUR_S) / DAY_S,
        answers=counted.answers.get(property, {}),
        rates=rates_of(counted.work.get(property, [])),
        devices=counted.devices,
        made_by=made_by(counted.work.get(property, [])),
        shared=counted.shared,
        peaks=counted.peaks.get(property, {}),
        images={family: count for family, (count, _) in facts.originals.items() if count},
        sizes={family: size / count for family, (count, size) in facts.originals.items() if count},
        changes=facts.changes,
        models=facts.models,
        record_bytes=facts.record_bytes,
    )


def made_by(work: Iterable[Row]) -> dict[tuple[str, str], str]:
    """By region and family, the device that was busiest with it."""
    busy: defaultdict[tuple[str, str], defaultdict[str, float]]
    busy = defaultdict(lambda: defaultdict(float))
    for row in work:
        region, device, _, family = row.labels
        busy[region, family][device] += sum(row[part] for part in DEVICE_PARTS)
    return {place: max(some, key=lambda name: some[name]) for place, some in busy.items()}


def rates_of(work: list[Row]) -> dict[tuple[str, str], float]:
    """Images a busy second by device and family, and by device alone."""
    images: defaultdict[tuple[str, str], float] = defaultdict(float)
    busy: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in work:
        for family in {row.labels[3], ""}:
            images[row.labels[1], family] += row["images"]
            busy[row.labels[1], family] += sum(row[part] for part in DEVICE_PARTS)
    return {name: images[name] / busy[name] for name in images if images[name] and busy[name]}


def _peaks(reader: Reader, property: str, end: int) -> dict[str, dict[str, float]]:
    """By property and region, the busiest hour of the last week against its average hour."""
    begun = max(reader.counted_since() or end, end - _PEAK_S)
    hours = [
        Period(at, at + HOUR_S, date.fromtimestamp(at))
        for at in range(begin_of(HOUR_S, begun), end, HOUR_S)
    ]
    counted = reader.each(
        PACKED_USAGE, ("property", "region"), ("misses",), hours, Scope(property=property)
    )
    passed = max(1.0, (end - begun) / HOUR_S)
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (name, region), misses in zip(counted.labels, counted.sums[..., 0], strict=True):
        if misses.any():
            found[name][region] = max(1.0, float(misses.max() * passed / misses.sum()))
    return found
