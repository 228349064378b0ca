"""What is in force in a property as its log was at a given sequence, read from the database.

In force is, of every asset key, the newest put or tombstone, or for the regions that it names a
canary that is newer. Snapshots, ranges and their digests are all made of this.
"""

import threading
from collections.abc import Iterable, Iterator

from sqlalchemy import Select, and_, exists, func, select
from sqlalchemy.orm import aliased

from kvsync.errors import LogAhead
from kvsync.log import Announce, Bury, Canary, Configure, Put
from kvsync.ranges import RANGES, RangeDigests, RangeSums, entry_hash, range_of
from origin.database import Database
from origin.sync import chain
from origin.sync.outbox import entry_of
from origin.tables import LogEntryRow, ModelRow

_IN_FORCE = ("put", "tombstone")
_ROWS = 2_000
_KEYS = 500


def in_force(database: Database, property: str, at: int) -> Iterator[Put | Bury]:
    """The newest entry of every key up to the sequence ``at``, oldest first."""
    query = _newest(property, at).order_by(LogEntryRow.seq).execution_options(yield_per=_ROWS)
    with database.reading() as session:
        for row in session.execute(query):
            yield _keyed(*row)


def canaries(database: Database, property: str, at: int) -> list[Canary]:
    """Those that no later put or tombstone of their key has lifted, oldest first.

    There may be several of a key, which name different regions or the same ones again.
    """
    query = _unreplaced(property, at, "canary").order_by(LogEntryRow.seq)
    with database.reading() as session:
        found = [entry_of(*row) for row in session.execute(query)]
    return [one for one in found if isinstance(one, Canary)]


def range_entries(
    database: Database, property: str, number: int, at: int, region: str
) -> list[Put | Bury]:
    """What is in force in ``region`` of the keys in one range (:mod:`kvsync.ranges`)."""
    query = _newest(property, at).where(LogEntryRow.key >= (number << 4).to_bytes(2, "big"))
    if number + 1 < RANGES:
        query = query.where(LogEntryRow.key < (number + 1 << 4).to_bytes(2, "big"))
    with database.reading() as session:
        found = [_keyed(*row) for row in session.execute(query.order_by(LogEntryRow.key))]
    tried = {
        one.key: one
        for one in _tried(database, property, at, region)
        if range_of(one.key) == number
    }
    return [*(one for one in found if one.key not in tried), *tried.values()]


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

    def at(self, property: str, seq: int | None, region: str) -> RangeDigests:
        """As they were in ``region`` when the log had come to ``seq``, or as they are.

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
        if tried := _tried(self._database, property, wanted, region):
            sums = sums.copy()
            for one in self._of_keys(property, [one.key for one in tried], wanted):
                sums.remove(one.key, _hashed(one))
            self._add(sums, tried)
        return RangeDigests.make(property, wanted, sums)

    def _move(self, property: str, sums: RangeSums, known: int, wanted: int) -> None:
        keys = self._changed(property, *sorted((known, wanted)))
        self._add(sums, self._of_keys(property, keys, wanted))
        for one in self._of_keys(property, keys, known):
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

    def _of_keys(self, property: str, keys: list[bytes], at: int) -> Iterator[Put | Bury]:
        for start in range(0, len(keys), _KEYS):
            query = _newest(property, at).where(LogEntryRow.key.in_(keys[start : start + _KEYS]))
            with self._database.reading() as session:
                yield from [_keyed(*row) for row in session.execute(query)]


def count_in_force(database: Database, property: str) -> int:
    """How many records a region that has everything has."""
    head = chain.head(database, property).seq
    rows = _newest(property, head).where(LogEntryRow.tag == "put").subquery()
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(rows)) or 0


def _newest(property: str, at: int) -> Select[int, str, bytes | None, bytes]:
    return _unreplaced(property, at, *_IN_FORCE)


def _unreplaced(property: str, at: int, *tags: str) -> Select[int, str, bytes | None, bytes]:
    """Entries with one of the tags that no later put or tombstone of their key has replaced."""
    later = aliased(LogEntryRow)
    return select(LogEntryRow.seq, LogEntryRow.tag, LogEntryRow.key, LogEntryRow.content).where(
        LogEntryRow.property == property,
        LogEntryRow.seq <= at,
        LogEntryRow.tag.in_(tags),
        ~exists().where(
            and_(
                later.property == property,
                later.key == LogEntryRow.key,
                later.seq > LogEntryRow.seq,
                later.seq <= at,
                later.tag.in_(_IN_FORCE),
            )
        ),
    )


def _tried(database: Database, property: str, at: int, region: str) -> list[Put]:
    """What canaries put in force in ``region``."""
    mine = [one for one in canaries(database, property, at) if region in one.regions]
    newest = {one.key: one for one in mine}
    return [Put(one.seq, one.key, one.signed) for one in newest.values()]


def _keyed(seq: int, tag: str, key: bytes | None, content: bytes) -> Put | Bury:
    kind = Put if tag == "put" else Bury
    return kind(seq, key or b"", content)


def _hashed(entry: Put | Bury) -> int:
    return entry_hash(entry.key, entry.signed, buried=isinstance(entry, Bury))
