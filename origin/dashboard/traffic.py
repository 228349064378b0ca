"""How misses were answered, how fast, by which machines, and what of them still crosses."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from kvsync.ledger import BOUNDS_S
from origin.dashboard.asked import Asked
from origin.economics.chosen_books import Books
from origin.economics.price_book import GB
from origin.ledger.reading import Reader, Row
from origin.ledger.tables import BUCKETS, DEVICE_PARTS
from origin.ledger.usage import DRIFT, KEPT_IN_REGION

WHY = {
    "no-record": "nobody approved a record for it yet",
    "revoked": "its approval was taken back",
    "expired": "its approval has run out",
    "unrenewed": "the region cannot ask whether it was revoked",
    "pass-through": "not an image of ours to make",
    "region": "the region's generator did not answer in time",
    "late": "the region was slow, so the origin was asked beside it",
    "busy": "the generator had too much to do",
    "overloaded": "too much at once",
    "unavailable": "the model is not in the region yet",
    "model": "the model cannot be used there",
    "store": "the region's record store did not answer",
    "store-full": "the region's record store is full",
    "record": "its record is not right",
    "malformed": "its record cannot be read",
    "signature": "its record's signature is wrong",
    "signing-key": "its record's signer may not sign for this property",
    "wrong-asset": "its record is of another image",
    "unsupported": "its record is of a newer kind than the region knows",
    "replica": "the region's replica did not answer",
    "no-replica": "the replica does not have it yet",
    "log": "the log's word is missing",
    "haul": "hauling this family is the cheapest way",
    "resilience": "the policy hauls while the origin is quick",
    DRIFT: "the picture made was not the approved one",
}
"""What a reason of the edge's means to whoever pays for it."""

TOP_ASSETS = 20


class Reason(msgspec.Struct, frozen=True):
    """Misses that the origin answered, and why; ``rows`` names the labels of their rows."""

    reason: str
    meaning: str
    misses: float
    hauled_bytes: float
    rows: dict[str, list[str]]


class Offload(msgspec.Struct, frozen=True):
    """``before`` and ``after`` are in a CDN's sense: the share of answers (or of the bytes sent to
    clients) that took nothing from the origin, without and with rehydration.

    ``avoidable_bytes`` are what misses would have hauled, once per miss of the region's shared
    cache; ``unshielded_bytes`` what they would have without it, once per answer that was not kept
    at its edge.
    """

    answers: float
    client_bytes: float
    misses: float
    kept_misses: float
    avoidable_bytes: float
    unshielded_bytes: float
    hauled_bytes: float
    kept_share: float | None
    before: float | None
    after: float | None
    reasons: list[Reason]


class Way(msgspec.Struct, frozen=True):
    """Answers of one outcome; times in seconds, None before the first. ``over`` says that the
    largest time counted is passed."""

    outcome: str
    answers: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class Device(msgspec.Struct, frozen=True):
    """A region's machines of one kind. Costs are of one image that a shopper was answered with, in
    the price book's currency; ``break_even_per_s`` are the images a second from which on the
    machine costs less than the hauls. None where there is nothing to tell from.
    """

    region: str
    device: str
    priced_as: str
    currency: str
    per_hour: float
    allocated_s: float
    busy_s: float
    use: float | None
    parts: Mapping[str, float]
    purposes: Mapping[str, float]
    images: float
    images_per_busy_s: float | None
    images_per_held_s: float | None
    bytes_per_image: float | None
    per_gb: float
    cost_per_image: float | None
    haul_per_image: float | None
    break_even_per_s: float | None


class Asset(msgspec.Struct, frozen=True):
    """One that still crosses the middle mile, and why."""

    property: str
    path: str
    reason: str
    meaning: str
    misses: float
    hauled_bytes: float


class Anomalies(msgspec.Struct, frozen=True):
    """``mismatches`` by property and region, with the pictures made there; seconds that edges left
    a peer alone."""

    mismatches: list["Mismatch"]
    breakers: list["Breaker"]


class Mismatch(msgspec.Struct, frozen=True):
    property: str
    region: str
    family: str
    mismatches: float
    share: float


class Breaker(msgspec.Struct, frozen=True):
    region: str
    peer: str
    open_s: float


class Traffic(msgspec.Struct, frozen=True):
    offload: Offload
    ways: list[Way]
    devices: list[Device]
    assets: list[Asset]
    anomalies: Anomalies


def traffic(reader: Reader, books: Books, asked: Asked) -> Traffic:
    answers = reader.answers(("region", "outcome", "reason"), asked.period, asked.scope)
    families = reader.families(asked.period, asked.scope)
    return Traffic(
        offload_of(answers, families),
        [_way(name, answers) for name in ("hit", "rehydrated", "replica", "origin")],
        devices(reader, books, asked, answers),
        crossing(reader, asked),
        Anomalies(_mismatches(families), _breakers(reader, asked)),
    )


def offload_of(answers: Sequence[Row], families: Sequence[Row]) -> Offload:
    """Of rows by (…, outcome, reason), and by family."""
    counts = ("answers", "client_bytes", "misses", "avoidable_bytes", "middle_mile_bytes")
    total = {name: sum(row[name] for row in answers) for name in counts}
    kept = sum(row["misses"] for row in answers if row.labels[-2] in KEPT_IN_REGION)
    why: defaultdict[str, list[Row]] = defaultdict(list)
    for row in answers:
        if row.labels[-2] not in KEPT_IN_REGION and row["misses"]:
            why[row.labels[-1] or row.labels[-2]].append(row)
    reasons = [
        Reason(
            name,
            meaning(name),
            _sum(rows, "misses"),
            _sum(rows, "middle_mile_bytes"),
            _labels_of(rows),
        )
        for name, rows in why.items()
    ]
    return Offload(
        answers=total["answers"],
        client_bytes=total["client_bytes"],
        misses=total["misses"],
        kept_misses=kept,
        avoidable_bytes=total["avoidable_bytes"],
        unshielded_bytes=sum(
            row["avoidable_bytes"] * max(1.0, row["missed_answers"] / row["misses"])
            for row in families
            if row["misses"]
        ),
        hauled_bytes=total["middle_mile_bytes"],
        kept_share=_ratio(kept, total["misses"]),
        before=_less(total["misses"], total["answers"]),
        after=_less(total["misses"] - kept, total["answers"]),
        reasons=sorted(reasons, key=lambda one: -one.misses),
    )


def _labels_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What finds rows of one reason again; those without one are found by their outcome."""
    if rows[0].labels[-1]:
        return {"reason": [rows[0].labels[-1]]}
    return {"outcome": sorted({row.labels[-2] for row in rows})}


def meaning(reason: str) -> str:
    return WHY.get(reason, "")


def percentile(counts: Sequence[float], share: float) -> float | None:
    """Below how many seconds that share of the answers stayed, as even as a bucket allows; the
    largest bound where it is past all of them, None of none."""
    total = sum(counts)
    if not total:
        return None
    wanted, below = share * total, 0.0
    for number, (count, up_to) in enumerate(zip(counts, accumulate(counts), strict=True)):
        if up_to >= wanted and count:
            if number == len(BOUNDS_S):
                return BOUNDS_S[-1]
            low = BOUNDS_S[number - 1] if number else 0.0
            return low + (BOUNDS_S[number] - low) * (wanted - below) / count
        below = up_to
    return BOUNDS_S[-1]


def _way(outcome: str, answers: Sequence[Row]) -> Way:
    mine = [row for row in answers if row.labels[-2] == outcome]
    counts = [_sum(mine, bucket) for bucket in BUCKETS]
    p50, p95, p99 = (percentile(counts, share) for share in (0.5, 0.95, 0.99))
    return Way(outcome, _sum(mine, "answers"), p50, p95, p99)


def devices(reader: Reader, books: Books, asked: Asked, answers: Sequence[Row]) -> list[Device]:
    """Machines are shared by properties, so a scope's property does not part them."""
    period, scope = asked.period, asked.scope
    region_scope = type(scope)(region=scope.region)
    work: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in reader.work(("region", "device", "purpose"), period, region_scope):
        work[row.labels[0], row.labels[1]].append(row)
    held = {row.labels: row["allocated_s"] for row in reader.held(period, region_scope)}
    names = sorted({(region, device) for region, device, *_ in (*held, *work)})
    day = min(asked.today, asked.last)
    found = []
    for region, device in names:
        prices, currency = books.prices(scope.property, region, day)
        kept = [one for one in answers if one.labels[0] == region]
        kept = [one for one in kept if one.labels[1] in KEPT_IN_REGION]
        bytes_per_image = _ratio(_sum(kept, "avoidable_bytes"), _sum(kept, "misses"))
        priced_as = prices.priced_as(device)
        found.append(
            _device(
                (region, device, priced_as, currency),
                prices.device(priced_as),
                prices.middle_mile[0].per_gb,
                held.get((region, device), 0.0),
                work[region, device],
                bytes_per_image,
            )
        )
    return found


def _device(
    names: tuple[str, str, str, str],
    per_hour: float,
    per_gb: float,
    allocated_s: float,
    rows: Sequence[Row],
    bytes_per_image: float | None,
) -> Device:
    parts = {name: _sum(rows, name) for name in DEVICE_PARTS}
    busy_s, images = sum(parts.values()), _sum(rows, "images")
    purposes = {row.labels[2]: sum(row[part] for part in DEVICE_PARTS) for row in rows}
    served = sum(row["images"] for row in rows if row.labels[2] == "serve")
    cost = max(allocated_s, busy_s) / 3600 * per_hour
    haul = bytes_per_image / GB * per_gb if bytes_per_image is not None else None
    return Device(
        *names,
        per_hour=per_hour,
        allocated_s=allocated_s,
        busy_s=busy_s,
        use=_ratio(busy_s, allocated_s),
        parts=parts,
        purposes=purposes,
        images=images,
        images_per_busy_s=_ratio(images, busy_s),
        images_per_held_s=_ratio(served, allocated_s),
        bytes_per_image=bytes_per_image,
        per_gb=per_gb,
        cost_per_image=_ratio(cost, served),
        haul_per_image=haul,
        break_even_per_s=_ratio(per_hour / 3600, haul or 0.0),
    )


def crossing(reader: Reader, asked: Asked, most: int = TOP_ASSETS) -> list[Asset]:
    return [
        Asset(
            property,
            path,
            reason,
            meaning(reason),
            row["misses"],
            row["middle_mile_bytes"],
        )
        for row in reader.crossed(asked.period, asked.scope, most)
        for property, path, reason in [row.labels]
    ]


def _mismatches(families: Sequence[Row]) -> list[Mismatch]:
    found = [
        Mismatch(property, region, family, wrong, wrong / (wrong + row["made_misses"]))
        for row in families
        for property, region, family in [row.labels]
        if (wrong := row["mismatches"])
    ]
    return sorted(found, key=lambda one: -one.mismatches)


def _breakers(reader: Reader, asked: Asked) -> list[Breaker]:
    rows = reader.opened(asked.period, asked.scope)
    found = [Breaker(row.labels[0], row.labels[1], row["open_s"]) for row in rows]
    return sorted((one for one in found if one.open_s > 0), key=lambda one: -one.open_s)


def _sum(rows: Iterable[Row], name: str) -> float:
    return sum(row[name] for row in rows)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _less(part: float, whole: float) -> float | None:
    return 1 - part / whole if whole else None
