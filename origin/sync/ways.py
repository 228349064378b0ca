"""How families' misses are answered: decided at the origin, told to regions through the log.

A property's file says it where operators keep it there. Elsewhere the last settings in the log do:
what was decided stays when the rest of the file changes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from sqlalchemy.orm import Session

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError
from kvsync.property import Ways, parse_property
from kvsync.record import Name
from origin.database import Database
from origin.sync.outbox import configure, last_settings


class _Said(msgspec.Struct, frozen=True):
    """Of settings, which another version may have written, only the ways."""

    ways: dict[Name, Ways] = {}


def set_ways(
    database: Database, properties_dir: Path, property: str, ways: Mapping[str, Ways]
) -> bool:
    """Have every region answer ``property``'s misses so, by family; whether that is a change.

    A family that is not in ``ways`` is always rehydrated. Raises as :func:`change_ways` does.
    """
    return change_ways(database, properties_dir, property, lambda before: ways)


def change_ways(
    database: Database,
    properties_dir: Path,
    property: str,
    change: Callable[[dict[str, Ways]], Mapping[str, Ways]],
) -> bool:
    """Set what ``change`` makes of the ways that were set last; whether that is a change. Nobody
    else sets others meanwhile.

    :class:`InputError` where the property is not known, where its file has ways of its own, or for
    ways that no property may have.
    """
    path = _path_of(properties_dir, property)
    toml = _read(path)
    if parse_property(toml, path).ways:
        raise InputError(f"{path}: has ways of its own; change them there, or remove them first")
    with database.writing() as session:
        ways = change(_set_last(session, property))
        return configure(session, property, _with_ways(toml, ways, path) if ways else toml)


def ways_of(database: Database, properties_dir: Path, property: str) -> dict[str, Ways]:
    """What is in force: that of the property's file, else what was set last.

    :class:`InputError` where the property is not known.
    """
    path = _path_of(properties_dir, property)
    own = parse_property(_read(path), path).ways
    if own:
        return own
    with database.reading() as session:
        return _set_last(session, property)


def publish_file(database: Database, path: Path) -> bool:
    """Write a property's file down for the log, with the ways that were set last where it has
    none; whether that changes anything. :class:`InputError` names a file that is wrong."""
    toml = _read(path)
    found = parse_property(toml, path)
    with database.writing() as session:
        ways = {} if found.ways else _set_last(session, found.id)
        return configure(session, found.id, _with_ways(toml, ways, path) if ways else toml)


def _path_of(properties_dir: Path, property: str) -> Path:
    """The property's file, whatever its name is; :class:`InputError` where there is none."""
    for path in sorted(properties_dir.glob("*.toml")):
        if parse_property(_read(path), path).id == property:
            return path
    raise InputError(f"{properties_dir}: no file of property {property[:40]!r} there; add one")


def _with_ways(toml: bytes, ways: Mapping[str, Ways], path: Path) -> bytes:
    """The file's settings with the ways at their end."""
    # One table each: the file may have an empty one of them all.
    tables = "".join(
        f'\n[ways."{family}"]\npolicy = "{chosen.policy}"\nway = "{chosen.way}"\n'
        for family, chosen in sorted(ways.items())
    )
    whole = toml.rstrip() + b"\n" + tables.encode()
    if parse_property(whole, path).ways != ways:
        raise InputError(f"{path}: ways of {', '.join(ways)[:100]!r} cannot be written down")
    return whole


def _set_last(session: Session, property: str) -> dict[str, Ways]:
    toml = last_settings(session, property)
    try:
        return msgspec.toml.decode(toml, type=_Said).ways if toml else {}
    except UNREADABLE as error:
        raise InputError(f"{property}: the settings in its log cannot be read: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
