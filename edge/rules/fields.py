"""Reading header fields: lists, cache directives, delta-seconds. Nothing here raises."""

import re
from collections.abc import Iterable, Mapping

from edge.rules.stored import Fields

Directives = Mapping[str, str | None]

MAX_SECONDS = 2**31
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_BALANCED = re.compile(rf'(?:[^"]|{_QUOTED})*+')
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED})++')
_DIRECTIVE = re.compile(rf"([!#$%&'*+.^_`|~0-9A-Za-z-]++)(?:=(?:({_QUOTED})|(.*)))?")
_DIGITS = re.compile(r"[0-9]+")

# About one connection, not the message (RFC 9110 section 7.6.1; RFC 9111 section 3.1).
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authentication-info proxy-authorization "
    "proxy-connection te trailer transfer-encoding upgrade".split()
)


def joined(fields: Iterable[tuple[str, str]], wanted: str) -> str | None:
    """All lines of one field as one value (RFC 9110 section 5.3), None where there is none."""
    values = [value for name, value in fields if name == wanted]
    return ", ".join(values) if values else None


def elements(value: str | None) -> list[str]:
    """The members of a list field (RFC 9110 section 5.6.1); commas in quotes do not divide,
    unless a quote is never closed: better to see a ``no-store`` too many than one too few."""
    if not value:
        return []
    whole = '"' in value and _BALANCED.fullmatch(value)
    members = (match[0] for match in _ELEMENT.finditer(value)) if whole else value.split(",")
    return [member for part in members if (member := part.strip())]


def names(value: str | None) -> list[str]:
    """The field names of a list, in lower case."""
    return [element.lower() for element in elements(value)]


def directives(value: str | None) -> dict[str, str | None]:
    """Cache directives by lower-case name, values without their quotes (RFC 9111 section 5.2).

    Of a directive given twice the first counts (section 4.2.1).
    """
    found: dict[str, str | None] = {}
    for element in elements(value):
        if match := _DIRECTIVE.fullmatch(element):
            quoted = match[2]
            found.setdefault(match[1].lower(), quoted[1:-1] if quoted else match[3])
    return found


def seconds(value: str | None) -> int | None:
    """Delta-seconds, at most 2^31 (RFC 9111 section 1.2.2); None where it is not one."""
    if value is None or not _DIGITS.fullmatch(value):
        return None
    digits = value.lstrip("0")
    return MAX_SECONDS if len(digits) > 10 else min(int(digits or "0"), MAX_SECONDS)


def end_to_end(fields: Fields) -> Fields:
    """Without what concerns one connection only, also what ``Connection`` names."""
    dropped = _HOP_BY_HOP.union(names(joined(fields, "connection")))
    return tuple(field for field in fields if field[0] not in dropped)


def without(fields: Fields, dropped: Iterable[str]) -> Fields:
    gone = frozenset(dropped)
    return tuple(field for field in fields if field[0] not in gone)
