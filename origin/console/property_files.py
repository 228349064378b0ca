"""The properties' files: read again when they change, and a new one written from a form.

Edges, regions and the log read the same folder, or copies of it, and take a change over by
themselves; so a file goes in only after it was read back as what was meant.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kvsync.errors import InputError
from kvsync.files import write_file
from kvsync.property import (
    Property,
    QueryRules,
    hosts_to_properties,
    parse_property,
    read_properties,
)
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.database import ensure_property
from origin.qa import audit


@dataclass(frozen=True)
class Draft:
    """What a person says of a new property; the rest is as the property ``like`` has it."""

    id: str
    hosts: tuple[str, ...]
    like: str
    significant: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    rendition: tuple[tuple[str, str], ...] = ()


def read_draft(
    id: str, hosts: str, like: str, significant: str, refused: str, rendition: str
) -> Draft:
    """From a form's fields, words apart by spaces, commas or lines; ``rendition`` has name=field.

    :class:`InputError` for a rendition parameter without its field.
    """
    pairs = [word.partition("=") for word in _words(rendition)]
    if bad := [name for name, _, field in pairs if not field]:
        raise InputError(f"rendition parameter {bad[0][:40]!r}: write it like w=width")
    return Draft(
        id.strip(),
        tuple(_words(hosts)),
        like,
        tuple(_words(significant)),
        tuple(_words(refused)),
        tuple((name, field) for name, _, field in pairs),
    )


class PropertyFiles:
    """The folder of one TOML file per property."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, Property]:
        """Every property as its file says now; :class:`InputError` names a file that is wrong."""
        return read_properties(self._folder)

    def find(self, property: str) -> Property:
        """:class:`NotHere` for a property without a file."""
        found = self.read().get(property)
        if found is None:
            raise NotHere(f"there is no property {property[:40]!r}")
        return found

    def rules_of(self, draft: Draft) -> Property:
        """The checked property that a draft describes; :class:`InputError` says what is wrong."""
        others = self.read()
        if draft.like not in others:
            raise InputError(f"there is no property {draft.like[:40]!r} to take settings from")
        if draft.id in others:
            raise InputError(f"there is a property {draft.id!r} already")
        query = QueryRules(draft.significant, draft.refused, dict(draft.rendition))
        meant = msgspec.structs.replace(
            others[draft.like], id=draft.id, hosts=draft.hosts, query=query, ways={}
        )
        written = parse_property(as_toml(meant).encode(), Path(f"{draft.id[:40]}.toml"))
        if written != meant:
            raise InputError("the property cannot be written down: use plain letters")
        hosts_to_properties([*others.values(), written])
        return written

    def create(self, draft: Draft) -> Property:
        """Write the draft's file; :class:`InputError` where it may not be, or is there."""
        rules = self.rules_of(draft)
        path = self._folder / f"{rules.id}.toml"
        if not write_file(path, as_toml(rules).encode(), replace=False):
            raise InputError(f"{path.name} is there already, for another property")
        return rules


def create_property(desk: Desk, files: PropertyFiles, draft: Draft, person: Person) -> Property:
    """Write the draft's file, make a place for the originals, and note it in the audit: from now on
    the property is served."""
    rules = files.create(draft)
    desk.sites.begin_store(rules.id)
    with desk.database.writing() as session:
        ensure_property(session, rules.id)
        audit(session, person.name, "property", rules.id, hosts=list(rules.hosts))
    return rules


def as_toml(property: Property) -> str:
    """The property as a file that :func:`kvsync.property.parse_property` reads back."""
    plain: Mapping[str, Any] = msgspec.to_builtins(property)
    tables = {name: value for name, value in plain.items() if isinstance(value, dict)}
    lines = [f"{name} = {_toml(value)}" for name, value in plain.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{_quoted(k)} = {_toml(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{_quoted(name)} = {_toml(one)}" for name, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)


def _quoted(text: str) -> str:
    # A basic string of TOML escapes as JSON does.
    return json.dumps(text, ensure_ascii=False)


def _words(text: str) -> Iterable[str]:
    return text.replace(",", " ").split()
