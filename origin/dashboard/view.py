"""Everything that the page of savings shows, worked out once for the page and its live part."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec

from origin.dashboard.asked import RANGES, Asked
from origin.dashboard.behind import shared_out
from origin.dashboard.every_figure import Figure, every_figure
from origin.dashboard.office import Office
from origin.dashboard.replay import Replayed, replayed
from origin.dashboard.savings import Earned, Headline, Share, earned, headline
from origin.dashboard.telling import break_even, honest, verdict
from origin.dashboard.traffic import Device, traffic
from origin.dashboard.ways import FamilyWays, forecasts
from origin.dashboard.what_if import Circumstances, what_if
from origin.dashboard.words import sign
from origin.economics.chosen_books import Books
from origin.economics.what_if import Change

FEW = 4
"""More properties than this are compared one by one."""

# Pages ask every five seconds; a month ahead changes slowly.
_FIGURES_S, _AHEAD_S = 3.0, 30.0
_ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
)


def figures(office: Office, asked: Asked) -> dict[str, Any]:
    """The context of the live part; ``digest`` names the figures, to tell whether they changed."""
    name = ("figures", *asked.query.values())
    return office.remembered.of(name, _FIGURES_S, lambda: _figures(office, asked))


def _figures(office: Office, asked: Asked) -> dict[str, Any]:
    books = office.books()
    head = headline(office.reader, books, asked)
    found = earned(office.reader, books, asked)
    seen = traffic(office.reader, books, asked)
    ways = _ways(office, books, asked)
    spans = found.by_span()
    context = {
        "headline": head,
        "verdict": verdict(head),
        "honest": honest(ways or []),
        "traffic": seen,
        "ways": ways or [],
        "many_properties": ways is None,
        **shared_out(office.reader, found),
        "chart_days": _chart_of_days(spans, found),
        "machines": [(one, break_even(one), _chart_of_break_even(one)) for one in seen.devices],
    }
    told = msgspec.json.encode(context)
    return {
        **context,
        "asked": asked,
        "earned": found,
        "digest": hashlib.blake2b(told, digest_size=8).hexdigest(),
        **_queries(asked),
    }


def around(office: Office, asked: Asked, context: Mapping[str, Any]) -> dict[str, Any]:
    """What stands around the live part: choices and sliders."""
    books = office.books()
    given = what_if(office.reader, books, asked, Change()).given
    properties = {one.name for one in context["by_property"] if one.name}
    regions = {one.name for one in context["by_region"]}
    return {
        "ranges": RANGES,
        "zones": _ZONES,
        "properties": sorted({*office.desk.sites, *properties, asked.scope.property} - {""}),
        "regions": sorted({*regions, *office.regions(), asked.scope.region} - {""}),
        "sliders": _sliders(given, _main_sign(context["headline"])),
        "scope_query": {
            name: value
            for name, value in asked.query.items()
            if name in ("property", "region", "zone")
        },
    }


def _ways(office: Office, books: Books, asked: Asked) -> list[FamilyWays] | None:
    """None where there are too many properties to compare all their families at once."""
    names = [asked.scope.property] if asked.scope.property else list(office.desk.sites)
    if len(names) > FEW:
        return None

    def look() -> list[FamilyWays]:
        return [
            one
            for name in names
            for one in forecasts(office.reader, books, name, asked.now, asked.today)
        ]

    name = ("ways", office.reader.begun_at(), *names)
    return office.remembered.of(name, _AHEAD_S, look)


def _queries(asked: Asked) -> dict[str, dict[str, str]]:
    """What asks for the rows behind each headline."""

    def of(range: str) -> dict[str, str]:
        return replace(asked, range=range).query

    return {
        "today_query": of("today"),
        "month_query": of("month"),
        "since_query": of("all"),
        "forecast_query": thirty_days(asked).query,
    }


def all_figures(office: Office, asked: Asked) -> list[Figure]:
    """Every number of the page of savings, and of policies in the days asked for."""
    names = [asked.scope.property] if asked.scope.property else list(office.desk.sites)[:FEW]
    past = [one for name in names for one in policies_of(office, asked, name)]
    return every_figure(figures(office, asked), past)


def thirty_days(asked: Asked) -> Asked:
    """The days that forecasts are made from."""
    first, last = asked.today - timedelta(days=30), asked.today + timedelta(days=1)
    return replace(asked, range="", first=first, last=last)


def policies_of(office: Office, asked: Asked, property: str) -> list[Replayed]:
    """What each policy would have cost, family by family."""
    name = ("policies", property, office.reader.begun_at(), *asked.query.values())
    return office.remembered.of(
        name, _AHEAD_S, lambda: replayed(office.reader, office.books(), asked, property)
    )


def _chart_of_days(spans: Sequence[Share], found: Earned) -> str:
    """Of the currency with most of it; a chart cannot add two."""
    main = found.all[0].currency if found.all else ""
    mine = [one for one in spans if one.money.currency == main]
    values = {
        "names": [one.name for one in mine],
        "saved": [one.money.saved for one in mine],
        "hauled": [one.money.haul_avoided for one in mine],
        "sign": sign(main) if main else "",
    }
    return msgspec.json.encode(values).decode()


def _chart_of_break_even(one: Device) -> str:
    here, busy, even = one.images_per_held_s, one.images_per_busy_s, one.break_even_per_s
    if not here or busy is None or even is None:
        return "{}"
    values = {
        "per_hour": one.per_hour,
        "haul": one.haul_per_image,
        "here": here,
        "busy": busy,
        "break_even": even,
        "least": min(here, even) / 2,
        "most": max(here, busy, even) * 2,
        "sign": sign(one.currency),
    }
    return msgspec.json.encode(values).decode()


def _main_sign(found: Headline) -> str:
    return sign(found.since_start[0].currency) if found.since_start else ""


def _sliders(given: Circumstances, sign: str) -> list[dict[str, Any]]:
    """``told`` is how their values read: a currency's sign before them, or as a percentage."""
    hour, ratio = given.device_per_hour, given.hit_ratio
    return [
        _slider("per_gb", "Price of a GB", given.per_gb, max(0.2, 2 * given.per_gb), sign),
        _slider("device_per_hour", "Price of a machine's hour", hour, max(4.0, 2 * hour), sign),
        _slider("machines", "Machines a region", given.machines, max(8.0, 4 * given.machines)),
        {
            **_slider("hit_ratio", "Answered by caches", ratio or 0.0, 1.0, "%"),
            "off": ratio is None,
        },
    ]


def _slider(name: str, label: str, value: float, most: float, told: str = "") -> dict[str, Any]:
    parts = {"name": name, "label": label, "value": value, "least": 0, "most": most}
    return {**parts, "told": told, "off": False}
