"""A month's statement, for a manager to read and to print."""

from datetime import date, timedelta
from typing import Any, Final

from origin.dashboard.asked import month_named
from origin.dashboard.behind import parts_behind, shared_out
from origin.dashboard.office import Office
from origin.dashboard.replay import FREE, LOST
from origin.dashboard.savings import Money, earned
from origin.dashboard.telling import COSTS
from origin.dashboard.traffic import traffic
from origin.dashboard.view import FEW, policies_of
from origin.dashboard.words import money
from origin.ledger.spans import month_of

_LINES: Final = (
    ("haul_avoided", "Hauls that did not happen", "what the middle mile would have cost more"),
    ("busy", "Machines at work", "generating, checking and encoding"),
    ("idle", "Machines that waited", "held all the same, so paid all the same"),
    ("qa", "Pictures made for approval", "candidates drawn and measured at the origin"),
    ("sync", "Records sent", "what every region was told of approved images"),
    ("models", "Models pulled", "generators on their way to regions"),
    ("replicas", "Originals pulled to keep", "once per change"),
    ("storage", "Kept in regions", "records, models and replicas"),
)


def statement(office: Office, month: str, property: str, region: str, zone: str) -> dict[str, Any]:
    """The page's context; without a month the last one that is over, or the first one counted."""
    today = office.ask(zone=zone).today
    if month:
        first, last = month_named(month)
    else:
        begun = office.ask(zone=zone, range="all").first
        first, last = month_named(max(begun, _before(today)).strftime("%Y-%m"))
    asked = office.ask(property=property, region=region, zone=zone, first=first, last=last)
    books = office.books()
    found = earned(office.reader, books, asked)
    places = sorted({place for place, _ in found.places()})
    names = [property] if property else list(office.desk.sites)
    few = names if len(names) <= FEW else []
    return {
        "asked": asked,
        "month": first.strftime("%Y-%m"),
        "month_words": first.strftime("%B %Y"),
        "unfinished": last > today,
        "found": found,
        "sentences": [_sentence(one) for one in found.all],
        "lines": _LINES,
        "traffic": traffic(office.reader, books, asked),
        **shared_out(office.reader, found),
        "rows_of": parts_behind(asked.query),
        "past": {name: policies_of(office, asked, name) for name in few},
        "free": FREE,
        "lost": LOST,
        "prices": [(*place, books.of(*place, first)) for place in places],
        "properties": sorted({*office.desk.sites, *(name for name, _ in places), property} - {""}),
    }


def _before(today: date) -> date:
    return month_of(month_of(today) - timedelta(days=1))


def _sentence(one: Money) -> str:
    spent = sum(getattr(one, name) for name in COSTS)
    hauls = money(one.haul_avoided, one.currency)
    if one.saved >= 0:
        return (
            f"Hauling every miss would have cost {hauls} more; {money(spent, one.currency)} was "
            "spent so that it did not."
        )
    return (
        f"Hauling every miss would have cost only {hauls} more, and {money(spent, one.currency)} "
        "was spent: this month rehydration did not pay for itself."
    )
