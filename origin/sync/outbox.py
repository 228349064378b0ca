"""Entries of the log, written in the transaction of the change that they tell of."""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from kvsync.errors import MalformedRecord
from kvsync.log import Announce, Bury, Canary, Configure, Entry, Put, decode_entries, encode_entries
from origin.database import ensure_property, next_seq
from origin.tables import Base, LogEntryRow, PropertyRow

_INSERT = Base.metadata.tables[LogEntryRow.__tablename__].insert()
_SQLITE_INSERT = str(_INSERT.compile(dialect=sqlite.dialect()))


class _Told(msgspec.Struct, frozen=True, array_like=True):
    signed: bytes
    regions: tuple[str, ...]


def append(session: Session, property: str, entries: Sequence[Entry]) -> None:
    """Write entries whose numbers :func:`origin.database.next_seq` gave in this transaction.

    :class:`MalformedRecord` for one that no reader could read: too large, or a key that is none.
    """
    if decode_entries(encode_entries(entries)) != tuple(entries):
        raise MalformedRecord(
            f"{property}: an entry of {max(len(content_of(one)) for one in entries)} bytes or with "
            "a key that is none cannot be published; nothing was"
        )
    session.flush()
    connection = session.connection()
    # Beside the session, which would look at each row: half of what publishing many costs.
    if connection.dialect.paramstyle == "qmark":
        # And beside what looks at each value, which SQLite's driver takes as it is.
        rows = [tuple(_row(property, one).values()) for one in entries]
        connection.exec_driver_sql(_SQLITE_INSERT, rows)
    else:
        connection.execute(_INSERT, [_row(property, one) for one in entries])


def configure(session: Session, property: str, toml: bytes) -> bool:
    """Write the property's settings down as an entry, unless they are those of the last one."""
    ensure_property(session, property)
    if last_settings(session, property) == toml:
        return False
    append(session, property, [Configure(next_seq(session, property), toml)])
    return True


def last_settings(session: Session, property: str) -> bytes | None:
    """The settings that the property's last entry of that kind carries, None where there is none.

    In a transaction that writes, nobody else writes others before its end.
    """
    session.get(PropertyRow, property, with_for_update=True)
    content: bytes | None = (
        session.query(LogEntryRow.content)
        .where(LogEntryRow.property == property, LogEntryRow.tag == "property")
        .order_by(LogEntryRow.seq.desc())
        .limit(1)
        .scalar()
    )
    return content


def entry_of(seq: int, tag: str, key: bytes | None, content: bytes) -> Entry:
    """The entry that a row of these columns keeps."""
    match tag:
        case "put":
            return Put(seq, key or b"", content)
        case "tombstone":
            return Bury(seq, key or b"", content)
        case "canary":
            told = msgspec.msgpack.decode(content, type=_Told)
            return Canary(seq, key or b"", told.signed, told.regions)
        case "model":
            return Announce(seq, content)
        case _:
            return Configure(seq, content)


def content_of(entry: Entry) -> bytes:
    """What an entry carries: the signed record, tombstone or announcement, or the TOML; of a
    canary the record with its regions."""
    match entry:
        case Put() | Bury():
            return entry.signed
        case Canary():
            return msgspec.msgpack.encode(_Told(entry.signed, entry.regions))
        case Configure():
            return entry.toml
        case Announce():
            return entry.announcement
        case _:
            assert_never(entry)


def _row(property: str, entry: Entry) -> dict[str, object]:
    return {
        "property": property,
        "seq": entry.seq,
        "tag": entry.__struct_config__.tag,
        "key": entry.key if isinstance(entry, Put | Bury | Canary) else None,
        "content": content_of(entry),
    }
