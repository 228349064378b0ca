"""Every number of the dashboard in one list: for CSV, for programs, and for Prometheus."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from origin.dashboard.replay import Replayed
from origin.dashboard.savings import Money
from origin.dashboard.traffic import Traffic
from origin.dashboard.ways import FamilyWays

COLUMNS: Final = ("group", "of", "figure", "currency", "value")


class Figure(msgspec.Struct, frozen=True):
    """``value`` of ``figure``; ``of`` names the day, place, family, machine or asset that it is
    of, and ``currency`` is empty for what is no money."""

    group: str
    of: str
    figure: str
    currency: str
    value: float


def every_figure(context: Mapping[str, Any], past: Iterable[Replayed]) -> list[Figure]:
    """What stands in a page's context (:func:`origin.dashboard.view.figures`), and the policies'
    days that are past."""
    return [
        *_of_money(context),
        *_of_traffic(context["traffic"]),
        *_ahead(context["ways"]),
        *(figure for one in past for figure in _numbers("policy", _family(one), one)),
    ]


def _of_money(context: Mapping[str, Any]) -> Iterator[Figure]:
    for name in ("today", "month", "since_start"):
        many: Sequence[Money] = getattr(context["headline"], name)
        for money in many:
            yield from _numbers("saving", name, money)
    for by in ("by_span", "by_property", "by_region", "by_family"):
        for told in context[by]:
            yield from _numbers(f"saving {by.replace('_', ' ')}", told.name, told.money)


def _of_traffic(found: Traffic) -> Iterator[Figure]:
    yield from _numbers("offload", "", found.offload)
    for reason in found.offload.reasons:
        yield from _numbers("hauled for", reason.reason, reason)
    for way in found.ways:
        yield from _numbers("answered by", way.outcome, way)
    for machine in found.devices:
        where = f"{machine.device} in {machine.region}"
        yield from _numbers("machine", where, machine)
        for of, parts in (("part", machine.parts), ("purpose", machine.purposes)):
            for name, seconds in parts.items():
                yield Figure("machine", where, f"{of} {name}", "", seconds)
    for asset in found.assets:
        yield from _numbers("crossing", f"{asset.property} {asset.path} {asset.reason}", asset)
    for mismatch in found.anomalies.mismatches:
        place = f"{mismatch.property}/{mismatch.family} in {mismatch.region}"
        yield from _numbers("mismatches", place, mismatch)
    for breaker in found.anomalies.breakers:
        yield from _numbers("left alone", f"{breaker.peer} by {breaker.region}", breaker)


def _ahead(ways: Iterable[FamilyWays]) -> Iterator[Figure]:
    for one in ways:
        yield from _numbers("month ahead", _family(one), one)
        for at in one.regions:
            yield from _numbers("month ahead", f"{_family(one)} in {at.region}", at)


def _family(one: FamilyWays | Replayed) -> str:
    return f"{one.property}/{one.family}"


def _numbers(group: str, of: str, one: msgspec.Struct) -> Iterator[Figure]:
    """The numbers of one thing; what is not known is left out."""
    currency = getattr(one, "currency", "")
    for name in one.__struct_fields__:
        value = getattr(one, name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Figure(group, of, name, currency, float(value))
