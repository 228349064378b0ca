"""What is in force in a property as its log was at a given sequence, read from the database.

In force is, of every asset key, the newest put or tombstone. Snapshots, ranges and their digests
are all made of this.
"""

import threading
from collections.abc import Iterable, Iterator

from sqlalchemy import Select, and_, exists, func, select
from sqlalchemy.orm import aliased

from kvsync.errors import LogAhead
from kvsync.log import Announce, Bury, Configure, Put
from kvsync.ranges import RANGES, RangeDigests, RangeSums, entry_hash
from origin.database import Database
from origin.sync import chain
from origin.sync.outbox import entry_of
from origin.tables import LogEntryRow, ModelRow

_ROWS = 2_000
_KEYS = 500


def in_force(database: Database, property: str, at: int) -> Iterator[Put | Bury]:
    """The newest entry of every key up to the sequence ``at``, oldest first."""
    query = _newest(property, at).order_by(LogEntryRow.seq).execution_options(yield_per=_ROWS)
    with database.reading() as session:
        for row in session.execute(query):
            yield _keyed(*row)


def range_entries(database: Database, property: str, number: int, at: int) -> list[Put | Bury]:
    """Those of the keys in one range (:mod:`kvsync.ranges`)."""
    query = _newest(property, at).where(LogEntryRow.key >= (number << 4).to_bytes(2, "big"))
    if number + 1 < RANGES:
        query = query.where(LogEntryRow.key < (number + 1 << 4).to_bytes(2, "big"))
    with database.reading() as session:
        return [_keyed(*row) for row in session.execute(query.order_by(LogEntryRow.key))]


def keyless(database: Database, property: str, at: int) -> list[Configure | Announce]:
    """The last settings, and the announcements of models that have not retired."""
    entries = select(LogEntryRow.seq, LogEntryRow.tag, LogEntryRow.key, LogEntryRow.content).where(
        LogEntryRow.property == property, LogEntryRow.seq <= at
    )
    settings = entries.where(LogEntryRow.tag == "property").order_by(LogEntryRow.seq.desc())
    kept = select(ModelRow.announcement).where(
        ModelRow.property == property, ModelRow.retired_at.is_(None)
    )
    models = entries.where(LogEntryRow.tag == "model", LogEntryRow.content.in_(kept))
    with database.reading() as session:
        rows = [*session.execute(models.order_by(LogEntryRow.seq))]
        rows += session.execute(settings.limit(1))
    found = [entry_of(*row) for row in rows]
    return [one for one in found if isinstance(one, Configure | Announce)]


class Digests:
    """Digests of a property's ranges at any sequence; what changed since the last is all the work.

    The first ones read everything.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, RangeSums]] = {}

    def at(self, property: str, seq: int | None) -> RangeDigests:
        """As they were when the log had come to ``seq``, or as they are.

        Raises :class:`LogAhead` for a sequence that is not sealed.
        """
        head = chain.head(self._database, property).seq
        wanted = head if seq is None else seq
        if wanted > head:
            raise LogAhead(f"{property}: the log ends at {head}, before {wanted}")
        with self._lock:
            known, last = self._known.get(property) or (0, RangeSums())
            sums = last.copy()
            if known == 0:
                self._add(sums, in_force(self._database, property, wanted))
            elif known != wanted:
                self._move(property, sums, known, wanted)
            self._known[property] = wanted, sums
            return RangeDigests.make(property, wanted, sums)

    def _move(self, property: str, sums: RangeSums, known: int, wanted: int) -> None:
        keys = self._changed(property, *sorted((known, wanted)))
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            self._add(sums, self._of_keys(property, some, wanted))
            for one in self._of_keys(property, some, known):
                sums.remove(one.key, _hashed(one))

    @staticmethod
    def _add(sums: RangeSums, entries: Iterable[Put | Bury]) -> None:
        for one in entries:
            sums.add(one.key, _hashed(one))

    def _changed(self, property: str, after: int, last: int) -> list[bytes]:
        query = (
            select(LogEntryRow.key)
            .distinct()
            .where(
                LogEntryRow.property == property,
                LogEntryRow.seq > after,
                LogEntryRow.seq <= last,
                LogEntryRow.key.is_not(None),
            )
        )
        with self._database.reading() as session:
            return [key for key in session.scalars(query) if key is not None]

    def _of_keys(self, property: str, keys: list[bytes], at: int) -> list[Put | Bury]:
        query = _newest(property, at).where(LogEntryRow.key.in_(keys))
        with self._database.reading() as session:
            return [_keyed(*row) for row in session.execute(query)]


def count_in_force(database: Database, property: str) -> int:
    """How many records a region that has everything has."""
    head = chain.head(database, property).seq
    rows = _newest(property, head).where(LogEntryRow.tag == "put").subquery()
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(rows)) or 0


def _newest(property: str, at: int) -> Select[int, str, bytes | None, bytes]:
    later = aliased(LogEntryRow)
    return select(LogEntryRow.seq, LogEntryRow.tag, LogEntryRow.key, LogEntryRow.content).where(
        LogEntryRow.property == property,
        LogEntryRow.seq <= at,
        LogEntryRow.key.is_not(None),
        ~exists().where(
            and_(
                later.property == property,
                later.key == LogEntryRow.key,
                later.seq > LogEntryRow.seq,
                later.seq <= at,
            )
        ),
    )


def _keyed(seq: int, tag: str, key: bytes | None, content: bytes) -> Put | Bury:
    kind = Put if tag == "put" else Bury
    return kind(seq, key or b"", content)


def _hashed(entry: Put | Bury) -> int:
    return entry_hash(entry.key, entry.seq, entry.signed, buried=isinstance(entry, Bury))
