"""The hit list: each family with what rehydrating it would save a month, and why or why not."""

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from origin.analysis.attributes import family_name, from_names
from origin.analysis.demand import Monthly
from origin.analysis.families import Family
from origin.analysis.forecast import Expected, expect
from origin.analysis.place import Place
from origin.analysis.sampling import SAME, Sample, in_words, sample
from origin.dashboard.words import money
from origin.economics.costs import saved
from origin.economics.forecast import Demand, Generator, compare, least_misses_to_rehydrate
from origin.economics.forecast import rehydrating as usage_of
from origin.economics.price_book import PriceBook, Prices

DEVICE: Final = "cpu"
SHOWN: Final = 60
# Below this recall most of the family would be hauled all the same.
WORTH: Final = 0.5
_SKIN: Final = 0.8
# Found in so many of the members that were looked at, it is of the family and not chance.
_PICTURED: Final = 0.5
_FACES: Final = re.compile(
    r"portrait|people|person|face|team|staff|model-?shot|headshot|avatar", re.I
)
_TEXT: Final = re.compile(r"banner|promo|sale|label|poster|price|advert|teaser", re.I)
_LICENSED: Final = re.compile(r"getty|shutterstock|adobe-?stock|alamy|istock|depositphotos", re.I)


class Hit(msgspec.Struct, frozen=True):
    """A line of the list; money in ``currency`` and a month, bytes and requests of 30 days.

    ``recall`` and what follows from it are None where too few members could be read, ``misses``
    and money where no log told.
    """

    id: str
    name: str
    customers: tuple[str, ...]
    template: str
    images: int
    bytes: int
    width: int
    height: int
    attributes: dict[str, list[str]]
    prompt: str
    requests: float
    misses: float | None
    recall: float | None
    recall_error: float | None
    model_bytes: int | None
    record_bytes: int | None
    train_cost: float | None
    gpu_cost: float | None
    saving: float | None
    currency: str
    why: tuple[str, ...]
    why_not: tuple[str, ...]
    outliers: tuple[tuple[str, str], ...]
    shown: tuple[str, ...]
    taken: str = ""


@dataclass(frozen=True)
class Market:
    """The price book, as of a day, by which families are ranked."""

    book: PriceBook
    day: datetime.date

    @property
    def prices(self) -> Prices:
        return self.book.on(self.day)


def hit_of(family: Family, place: Place | None, traffic: Sequence[Monthly], market: Market) -> Hit:
    """A family's line. Without a ``place`` to look into nothing is foretold of it."""
    own = family.of_one_size()
    found = sample(own, place) if place is not None else None
    expected = expect(own, found) if found is not None else None
    misses = _total([one.misses for one in traffic]) if traffic else None
    saving = gpu_cost = None
    if expected is not None and misses is not None:
        saving, gpu_cost = _money(own, traffic, expected, market)
    proposal = from_names(own)
    values = proposal.vocabulary if proposal else {}
    why = [*family.why, *([in_words(found)] if found else [])]
    against = [*_against(family, found, expected), *_costs(own, traffic, expected, saving, market)]
    return Hit(
        id=family.id,
        name=family_name(family),
        customers=family.customers,
        template=family.template,
        images=len(family.members),
        bytes=family.total_bytes,
        width=own.members[0].width,
        height=own.members[0].height,
        attributes=values,
        prompt=", ".join(f"{{{name}}} {name}" for name in values),
        requests=sum(one.requests for one in traffic),
        misses=misses,
        recall=expected.recall if expected else None,
        recall_error=expected.recall_error if expected else None,
        model_bytes=round(expected.model_bytes) if expected else None,
        record_bytes=round(expected.record_bytes) if expected else None,
        train_cost=_training(expected, market) if expected else None,
        gpu_cost=gpu_cost,
        saving=saving,
        currency=market.book.currency,
        why=tuple(why),
        why_not=tuple(against),
        outliers=tuple((one.path, one.why) for one in family.outliers),
        shown=tuple(one.path for one in own.members[:: max(1, len(own.members) // SHOWN)][:SHOWN]),
    )


def ranked(hits: Sequence[Hit]) -> list[Hit]:
    """What saves most first; then what is likely to come back, by bytes."""

    def order(hit: Hit) -> tuple[float, float, str]:
        saving = -float("inf") if hit.saving is None else hit.saving
        return (-saving, -(hit.recall or 0.0) * hit.bytes, hit.id)

    return sorted(hits, key=order)


def _money(
    family: Family, traffic: Sequence[Monthly], expected: Expected, market: Market
) -> tuple[float, float]:
    """Net saving and device cost of a month in which everything is new, all regions together. What
    does not come back is hauled as before."""
    net = device = 0.0
    for demand, generator in _cases(family, traffic, expected):
        statement = saved(usage_of(demand, generator), market.prices, DEVICE, market.book.currency)
        net += statement.saved
        device += statement.busy + statement.idle
    return net, device


def _cases(
    family: Family, traffic: Sequence[Monthly], expected: Expected
) -> Iterator[tuple[Demand, Generator]]:
    generator = Generator(
        DEVICE, expected.images_per_s, expected.model_bytes, expected.record_bytes, shared=True
    )
    share = expected.recall
    images = max(1, round(share * len(family.members)))
    for one in traffic:
        if one.misses:
            size = one.missed_bytes / one.misses
            yield Demand(images, size, share * one.misses, change=1.0), generator


def _against(family: Family, found: Sample | None, expected: Expected | None) -> Iterator[str]:
    """What speaks against it whatever the traffic is."""
    if found is None:
        yield "too few of its images could be read to foretell anything"
        return
    if found.varies < SAME:
        yield "one picture in several codings or sizes: keep one, no generator is needed"
    if expected is not None and expected.recall < WORTH:
        yield (
            f"only {expected.recall:.0%} is expected to come back, by what became of families "
            "like it"
        )
    names = f"{family.template} {family.members[0].path}"
    if found.text >= _PICTURED or _TEXT.search(names):
        yield "seems to bear text, which must come back exact: look first"
    if found.faces >= _PICTURED:
        yield f"shows people: a face in {found.faces:.0%} of those looked at; ask for their consent"
    elif _FACES.search(names) or found.skin >= _SKIN:
        yield "may show people (names, or colours of skin): faces need their consent and care"
    if found.copyright or _LICENSED.search(names):
        said = f"files say {found.copyright!r}" if found.copyright else "names say so"
        yield f"may be licensed from others ({said}): a derived model needs their leave"
    if len(family.sizes) > 1:
        left = len(family.members) - len(family.of_one_size().members)
        yield f"{len(family.sizes)} sizes: {left} of its images need a family of their own"


def _costs(
    family: Family,
    traffic: Sequence[Monthly],
    expected: Expected | None,
    saving: float | None,
    market: Market,
) -> Iterator[str]:
    """What its traffic and prices speak against it."""
    if all(tier.per_gb == 0 for tier in market.prices.middle_mile):
        yield "the origin's traffic is free: there is nothing to save but requests"
    if not traffic:
        yield "no log mentions it: its traffic is not known"
    elif saving is None:
        yield "the logs do not tell hits from misses: what is hauled is not known"
    elif expected is not None and saving <= 0:
        demand, generator = next(_cases(family, traffic, expected), (None, None))
        if demand is None or generator is None:
            yield "nothing of it was hauled"
            return
        needed = least_misses_to_rehydrate(demand, generator, market.prices)
        now = demand.misses_per_image
        least = "no number" if needed is None else f"{needed:,.1f}"
        yield f"too few misses: {now:,.1f} an image and month, it pays from {least} on"
    elif expected is not None and 12 * saving < _training(expected, market):
        yield "too few misses: a year's saving is less than training it costs"
    if expected is not None and saving is not None:
        yield from _cheaper(family, traffic, expected, market)


def _training(expected: Expected, market: Market) -> float:
    return expected.train_cpu_h * market.prices.device(DEVICE)


def _cheaper(
    family: Family, traffic: Sequence[Monthly], expected: Expected, market: Market
) -> Iterator[str]:
    costs = [compare(*case, market.prices) for case in _cases(family, traffic, expected)]
    if costs and sum(one.replica for one in costs) < sum(one.rehydrate for one in costs):
        less = sum(one.rehydrate - one.replica for one in costs)
        told = money(less, market.book.currency)
        yield f"a replica in the regions would cost {told} a month less"


def _total(found: Sequence[float | None]) -> float | None:
    known = [one for one in found if one is not None]
    return sum(known) if len(known) == len(found) else None


def taken_as(hits: Sequence[Hit], taken: Mapping[str, str]) -> list[Hit]:
    """The list with where families went that were taken, by id."""
    return [msgspec.structs.replace(hit, taken=taken.get(hit.id, hit.taken)) for hit in hits]
