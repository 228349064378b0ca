"""What asks for the rows behind a share of the money: its days, place and family."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final, Literal, NamedTuple

from origin.dashboard.asked import Asked
from origin.dashboard.savings import PARTS, Earned, Money, Share, by_family
from origin.dashboard.words import grain
from origin.ledger.own_work import QA, THE_ORIGIN
from origin.ledger.reading import Reader
from origin.ledger.spans import next_month

Axis = Literal["span", "property", "region", "family"]

_OF_REGIONS: Final = {"not_region": THE_ORIGIN}
# By part: the table whose rows it is summed from, and the labels that they have.
_BEHIND: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "haul_avoided": ("answers", {}),
    "busy": ("work", _OF_REGIONS),
    "idle": ("held", _OF_REGIONS),
    "qa": ("work", {"purpose": QA}),
    "sync": ("carried", {"what": "sync"}),
    "models": ("carried", {"what": "model"}),
    "replicas": ("carried", {"what": "replica"}),
    "storage": ("kept", {}),
}
_BY_FAMILY: Final = ("answers", "work")
_BY_PROPERTY: Final = ("carried", "kept")


class Behind(NamedTuple):
    """Where a number's rows are: a table, and what to ask of it."""

    table: str
    query: dict[str, Any]


class Told(NamedTuple):
    """A share of the money, and the rows behind its saving and behind each of its parts."""

    name: str
    money: Money
    saved: Behind
    parts: dict[str, Behind]


def parts_behind(query: dict[str, Any], family: str = "") -> dict[str, Behind]:
    """By part, but for those that no family has a part in; machines are held for all families.

    What was made for approval is paid by the time that the origin's machine was held, which knows
    no property.
    """
    found = {}
    for part, (table, labels) in _BEHIND.items():
        if family and table in _BY_PROPERTY:
            continue
        of_family = {"family": family} if family and table in _BY_FAMILY else {}
        found[part] = Behind(table, {**query, **labels, **of_family})
    if not query["property"] and query["region"] in ("", THE_ORIGIN):
        found["qa"] = Behind("held", {**query, "region": THE_ORIGIN})
    return found


def grain_of(many: Iterable[Money]) -> float:
    """How exact the parts of savings that stand together are told."""
    return grain(getattr(one, name) for one in many for name in PARTS)


def shared_out(reader: Reader, found: Earned) -> dict[str, list[Told]]:
    """The money by day or month, property, region and family."""
    shares: dict[Axis, list[Share]] = {
        "span": found.by_span(),
        "property": found.by_property(),
        "region": found.by_region(),
        "family": by_family(reader, found),
    }
    return {f"by_{axis}": _told(axis, many, found.asked) for axis, many in shares.items()}


def _told(axis: Axis, shares: Sequence[Share], asked: Asked) -> list[Told]:
    told = []
    for one in shares:
        query, family = _of(axis, one.name, asked)
        table = "answers" if family else "usage"
        saved = Behind(table, {**query, **({"family": family} if family else {})})
        told.append(Told(one.name, one.money, saved, parts_behind(query, family)))
    return told


def _of(axis: Axis, name: str, asked: Asked) -> tuple[dict[str, Any], str]:
    """What asks for a share's place and days, and its family."""
    if axis == "span":
        first = date.fromisoformat(name)
        last = next_month(first) if asked.by_month else first + timedelta(days=1)
        days = max(first, asked.first).isoformat(), min(last, asked.last).isoformat()
        return {**asked.query, "range": "", "first": days[0], "last": days[1]}, ""
    if axis == "family":
        property, slash, family = name.partition("/")
        whole = property.partition(", the whole property")[0]
        return {**asked.query, "property": property if slash else whole}, family
    return {**asked.query, axis: name or asked.query[axis]}, ""
