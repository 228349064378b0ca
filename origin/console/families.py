"""Families as operators make them: the originals whose names fit a pattern."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.console.prompt_sets.templates import named_by
from origin.console.tables import FamilyRow
from origin.qa import audit

# As a manifest's family and a record's are.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
MOST_VALUES = 200


@dataclass(frozen=True)
class Found:
    """What a pattern finds in the asset store: names, and each attribute's values."""

    names: Sequence[tuple[str, Mapping[str, str]]]

    @property
    def attributes(self) -> dict[str, list[str]]:
        """Values by attribute, in the order of the names, each once."""
        values: dict[str, dict[str, None]] = {}
        for _, named in self.names:
            for attribute, value in named.items():
                values.setdefault(attribute, {})[value] = None
        return {name: list(found)[:MOST_VALUES] for name, found in values.items()}


def find_originals(desk: Desk, property: str, pattern: str) -> Found:
    """:class:`InputError` for a pattern that finds nothing or cannot be read."""
    site = desk.site(property)
    found = Found(list(named_by(pattern.strip(), site.dam.list())))
    if not found.names:
        raise InputError(f"no original's name is like {pattern.strip()[:80]!r}")
    return found


def create_family(desk: Desk, property: str, name: str, pattern: str, person: Person) -> Found:
    """Write a family down; :class:`InputError` for a name that is taken or cannot be one."""
    if not _NAME.fullmatch(name):
        raise InputError("a family's name has 1 to 40 letters, digits, dots, dashes, underscores")
    if name in desk.families(property):
        raise InputError(f"there is a family {name!r} already")
    found = find_originals(desk, property, pattern)
    with desk.database.writing() as session:
        session.add(
            FamilyRow(
                property=property,
                name=name,
                pattern=pattern.strip(),
                originals=len(found.names),
                attributes=found.attributes,
                made_by=person.name,
                looked_at=int(time.time()),
            )
        )
        audit(session, person.name, "family", name, property=property, pattern=pattern.strip())
    return found


def family_rows(desk: Desk, property: str) -> dict[str, FamilyRow]:
    """The families that were made here, by name."""
    query = select(FamilyRow).where(FamilyRow.property == property).order_by(FamilyRow.name)
    with desk.database.reading() as session:
        return {row.name: row for row in session.scalars(query)}


def family_row(desk: Desk, property: str, name: str) -> FamilyRow:
    """:class:`NotHere` for a family that was not made here."""
    found = family_rows(desk, property).get(name)
    if found is None:
        raise NotHere(f"family {name[:40]!r} was not made here: its gallery has its manifest")
    return found


def manifest_of(desk: Desk, row: FamilyRow) -> dict[str, Any]:
    """A gallery's manifest of the family, to train its model with (docs/manifest.md)."""
    return {
        "family": row.name,
        "template": row.pattern,
        "assets": [
            {"file": name, "attributes": dict(values)}
            for name, values in _now(desk, row.property, row.pattern)
        ],
    }


def _now(desk: Desk, property: str, pattern: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield from find_originals(desk, property, pattern).names
