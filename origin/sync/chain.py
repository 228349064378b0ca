"""The chain of batches in the database: what is sealed, and with what bytes, for ever.

How a batch was sealed is written down before anyone sees it, and everything in it is kept, so the
same bytes can be made again: a lost stream is rebuilt to the bit, and of two processes that seal
at once one is refused by the table's key.
"""

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kvsync.errors import Gap, InputError
from kvsync.log import Batch, Cursor, Entry
from kvsync.signing import SigningKey
from origin.database import Database
from origin.sync.outbox import content_of, entry_of
from origin.tables import LogBatchRow, LogEntryRow, PropertyRow

MAX_ENTRIES = 1_000
BATCHES_AT_ONCE = 4
"""Sealed in one transaction, of which each waits for the disk and for whoever publishes."""
MAX_ENTRY_BYTES = 512 << 10
"""Of a batch's contents: half of what a reader takes, which leaves room for one large entry."""


def head(database: Database, property: str) -> Cursor:
    """The last batch that was sealed."""
    with database.reading() as session:
        return _head(session, property)


def heads(database: Database) -> dict[str, tuple[int, int]]:
    """By property: the last sequence that was given, and the last one that was sealed."""
    sealed = (
        select(func.max(LogBatchRow.last))
        .where(LogBatchRow.property == PropertyRow.id)
        .scalar_subquery()
    )
    with database.reading() as session:
        rows = session.execute(select(PropertyRow.id, PropertyRow.seq, sealed))
        return {property: (given, last or 0) for property, given, last in rows}


def seal_next(database: Database, key: SigningKey, property: str, now_ms: int) -> list[Batch]:
    """Seal what was published since the last batch, or the first :data:`BATCHES_AT_ONCE` of it.

    Nothing, too, when another process sealed it at the same time. :class:`Gap` for a number that
    was given and never became an entry.
    """
    with database.reading() as session:
        after = _head(session, property)
        last = after.seq + BATCHES_AT_ONCE * MAX_ENTRIES
        entries = _entries(session, property, after.seq, last)
        given = session.get_one(PropertyRow, property).seq
    if not entries and given > after.seq:
        raise Gap(f"{property}: number {after.seq + 1} was given and never became an entry")
    batches: list[Batch] = []
    while entries and len(batches) < BATCHES_AT_ONCE:
        some = _that_fit(entries[:MAX_ENTRIES])
        batches.append(Batch.seal(key, property, some, after=after, made_at_ms=now_ms))
        after, entries = batches[-1].cursor, entries[len(some) :]
    try:
        with database.writing() as session:
            session.add_all(_row_of(batch) for batch in batches)
    except IntegrityError:
        return []
    return batches


def _row_of(batch: Batch) -> LogBatchRow:
    return LogBatchRow(
        property=batch.property,
        first=batch.first,
        last=batch.last,
        previous=batch.previous,
        digest=batch.digest,
        made_at_ms=batch.made_at_ms,
        size=len(batch.signed),
    )


def sealed_after(
    database: Database, key: SigningKey, property: str, seq: int, *, max_bytes: int
) -> Iterator[Batch]:
    """The batches after ``seq``, made again; of many the last ones, together ``max_bytes``.

    Raises :class:`InputError` when an entry is not what was sealed.
    """
    with database.reading() as session:
        newest_first = session.scalars(
            select(LogBatchRow)
            .where(LogBatchRow.property == property, LogBatchRow.first > seq)
            .order_by(LogBatchRow.first.desc())
        )
        kept: list[LogBatchRow] = []
        for row in newest_first:
            max_bytes -= row.size
            if kept and max_bytes < 0:
                break
            kept.append(row)
    for row in reversed(kept):
        yield _again(database, key, row)


def sizes(database: Database, property: str, first: int) -> list[tuple[int, int]]:
    """First sequence and bytes of each batch from ``first`` on."""
    query = (
        select(LogBatchRow.first, LogBatchRow.size)
        .where(LogBatchRow.property == property, LogBatchRow.first >= first)
        .order_by(LogBatchRow.first)
    )
    with database.reading() as session:
        return [(start, size) for start, size in session.execute(query)]


def is_batch_end(database: Database, property: str, seq: int) -> bool:
    """Whether a reader of the log can be there."""
    query = select(LogBatchRow.first).where(
        LogBatchRow.property == property, LogBatchRow.last == seq
    )
    with database.reading() as session:
        return seq == 0 or session.scalar(query) is not None


def _again(database: Database, key: SigningKey, row: LogBatchRow) -> Batch:
    with database.reading() as session:
        entries = _entries(session, row.property, row.first - 1, row.last)
    after = Cursor(row.first - 1, row.previous)
    batch = Batch.seal(key, row.property, entries, after=after, made_at_ms=row.made_at_ms)
    if batch.digest != row.digest:
        raise InputError(
            f"{row.property}: entries {row.first} to {row.last} of the log are not what was "
            "sealed; restore the database"
        )
    return batch


def _head(session: Session, property: str) -> Cursor:
    row = session.scalars(
        select(LogBatchRow)
        .where(LogBatchRow.property == property)
        .order_by(LogBatchRow.first.desc())
        .limit(1)
    ).one_or_none()
    return Cursor(row.last, row.digest) if row else Cursor()


def _entries(session: Session, property: str, after: int, last: int) -> list[Entry]:
    query = (
        select(LogEntryRow.seq, LogEntryRow.tag, LogEntryRow.key, LogEntryRow.content)
        .where(LogEntryRow.property == property, LogEntryRow.seq > after, LogEntryRow.seq <= last)
        .order_by(LogEntryRow.seq)
    )
    # Beside the session, which would look at each row.
    return [entry_of(*row) for row in session.connection().execute(query)]


def _that_fit(entries: list[Entry]) -> list[Entry]:
    """As many from the front as a batch may hold, at least one."""
    total = 0
    for at, entry in enumerate(entries):
        total += len(content_of(entry))
        if at and total > MAX_ENTRY_BYTES:
            return entries[:at]
    return entries
