"""What is known of every asset of every customer: one SQLite file.

Written by one process, a page or a batch in a transaction, read by any. Contents are kept once
however many assets have them; an asset is looked at again only when its validator changed.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from origin.analysis.place import Listed

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS walks (
    customer TEXT PRIMARY KEY, place TEXT NOT NULL, cursor TEXT NOT NULL, number INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS contents (
    digest BLOB PRIMARY KEY, media_type TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, note TEXT NOT NULL, why TEXT NOT NULL, said TEXT NOT NULL,
    descriptor BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS assets (
    customer TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, validator TEXT NOT NULL,
    modified TEXT NOT NULL, metadata TEXT NOT NULL, walk INTEGER NOT NULL, digest BLOB,
    trouble TEXT NOT NULL DEFAULT '', PRIMARY KEY (customer, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS embeddings (
    network TEXT NOT NULL, digest BLOB NOT NULL, embedding BLOB NOT NULL,
    PRIMARY KEY (network, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON assets (customer, path) WHERE digest IS NULL AND trouble = '';
"""
_LIST: Final = """
INSERT INTO assets (customer, path, size, validator, modified, metadata, walk)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET walk = excluded.walk, modified = excluded.modified,
    metadata = excluded.metadata,
    digest = CASE WHEN validator = excluded.validator AND size = excluded.size THEN digest END,
    trouble = CASE WHEN validator = excluded.validator AND size = excluded.size
              AND digest IS NOT NULL THEN trouble ELSE '' END,
    validator = excluded.validator, size = excluded.size
"""


@dataclass(frozen=True, slots=True)
class Content:
    """What some bytes show, or ``why`` they show nothing (and what the decoder ``said``).

    ``note`` is worth listing but no hindrance. ``descriptor`` is empty where ``why`` is not.
    """

    digest: bytes
    media_type: str
    width: int
    height: int
    note: str
    why: str
    said: str
    descriptor: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """An asset that was looked at: whose, where, how large, what its content shows, and what a
    feature network says of that (empty where none was asked)."""

    customer: str
    path: str
    size: int
    content: Content
    embedding: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    assets: int
    looked_at: int
    contents: int
    total_bytes: int


class Store:
    """The file at ``path``, made if it is not there."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_walk(self, customer: str, place: str) -> str:
        """Where the walk of this place stopped: "" for a new one."""
        found = self._base.execute(
            "SELECT place, cursor FROM walks WHERE customer = ?", [customer]
        ).fetchone()
        if found is not None and found[0] == place and found[1]:
            return str(found[1])
        self._base.execute(
            "INSERT INTO walks VALUES (?, ?, '', 1) ON CONFLICT DO UPDATE "
            "SET place = excluded.place, cursor = '', number = number + 1",
            [customer, place],
        )
        return ""

    def add_page(self, customer: str, page: Sequence[Listed]) -> None:
        """Note a page and how far the walk is, in one transaction."""
        if not page:
            return
        with self._base:
            self._base.execute("BEGIN")
            walk = self._walk(customer)
            self._base.executemany(
                _LIST,
                (
                    (customer, one.path, one.size, one.validator, one.modified, one.metadata, walk)
                    for one in page
                ),
            )
            self._base.execute(
                "UPDATE walks SET cursor = ? WHERE customer = ?", [page[-1].path, customer]
            )

    def end_walk(self, customer: str, keep: Sequence[str] = ()) -> int:
        """Forget what the whole walk did not meet, but what lies below ``keep`` (folders that could
        not be listed); how many."""
        with self._base:
            self._base.execute("BEGIN")
            spared = "".join(" AND NOT (path >= ? AND path < ?)" for _ in keep)
            bounds = [bound for name in keep for bound in (name, name + "\U0010ffff")]
            gone = self._base.execute(
                f"DELETE FROM assets WHERE customer = ? AND walk <> ?{spared}",
                [customer, self._walk(customer), *bounds],
            ).rowcount
            self._base.execute("UPDATE walks SET cursor = '' WHERE customer = ?", [customer])
        return gone

    def waiting(self, customer: str) -> Iterator[tuple[str, str, int]]:
        """Path, validator and size of what has not been looked at, in order."""
        with closing(sqlite3.connect(self.path)) as reading:
            yield from reading.execute(
                "SELECT path, validator, size FROM assets INDEXED BY waiting WHERE customer = ? "
                "AND digest IS NULL AND trouble = '' ORDER BY path",
                [customer],
            )

    def count_waiting(self, customer: str) -> int:
        found = self._base.execute(
            "SELECT count(*) FROM assets WHERE customer = ? AND digest IS NULL AND trouble = ''",
            [customer],
        ).fetchone()
        return int(found[0])

    def knows(self, digest: bytes) -> str | None:
        """The media type of bytes that were looked at before ("" if unfit); None if never."""
        asked = self._base.execute("SELECT media_type FROM contents WHERE digest = ?", [digest])
        found = asked.fetchone()
        return None if found is None else str(found[0])

    def add_looks(
        self,
        customer: str,
        digests: Iterable[tuple[str, bytes]],
        contents: Iterable[Content],
        troubles: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Note what a batch of assets showed, by path; ``troubles`` could not be read."""
        with self._base:
            self._base.execute("BEGIN")
            self._base.executemany(
                "INSERT OR IGNORE INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        one.digest,
                        one.media_type,
                        one.width,
                        one.height,
                        one.note,
                        one.why,
                        one.said,
                        one.descriptor,
                    )
                    for one in contents
                ),
            )
            for column, rows in (("digest", digests), ("trouble", troubles)):
                self._base.executemany(
                    f"UPDATE assets SET {column} = ? WHERE customer = ? AND path = ?",
                    ((value, customer, path) for path, value in rows),
                )

    def not_embedded(self, customer: str, network: str) -> list[tuple[str, bytes]]:
        """Path and digest of each content that ``network`` was not asked of, by path."""
        return self._base.execute(
            "SELECT min(path), digest FROM assets JOIN contents USING (digest) WHERE customer = ? "
            "AND why = '' AND digest NOT IN (SELECT digest FROM embeddings WHERE network = ?) "
            "GROUP BY digest ORDER BY 1",
            [customer, network],
        ).fetchall()

    def add_embeddings(self, network: str, found: Iterable[tuple[bytes, bytes]]) -> None:
        """Note what a network says of contents, by digest."""
        with self._base:
            self._base.execute("BEGIN")
            self._base.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                ((network, digest, embedding) for digest, embedding in found),
            )

    def seen(self, customer: str, network: str = "") -> Iterator[Seen]:
        """Every asset that was looked at, in order of paths."""
        with closing(sqlite3.connect(self.path)) as reading:
            rows = reading.execute(
                "SELECT customer, path, size, coalesce(embedding, x''), contents.* FROM assets "
                "JOIN contents USING (digest) LEFT JOIN embeddings ON network = ? "
                "AND embeddings.digest = contents.digest WHERE customer = ? ORDER BY path",
                [network, customer],
            )
            for whose, path, size, embedding, *content in rows:
                yield Seen(whose, path, size, Content(*content), embedding)

    def seen_without_descriptor(self, customer: str) -> Iterator[tuple[str, Content]]:
        """Path and content of what shows nothing that could be compared."""
        with closing(sqlite3.connect(self.path)) as reading:
            rows = reading.execute(
                "SELECT path, contents.* FROM assets JOIN contents USING (digest) "
                "WHERE customer = ? AND why <> '' ORDER BY path",
                [customer],
            )
            for path, *content in rows:
                yield path, Content(*content)

    def count_turned(self, customer: str) -> int:
        """Images that EXIF turns upright."""
        found = self._base.execute(
            "SELECT count(*) FROM assets JOIN contents USING (digest) "
            "WHERE customer = ? AND note = 'turned'",
            [customer],
        ).fetchone()
        return int(found[0])

    def troubles(self, customer: str) -> list[tuple[str, str]]:
        """Path and why of what could not be read at all."""
        return self._base.execute(
            "SELECT path, trouble FROM assets WHERE customer = ? AND trouble <> '' ORDER BY path",
            [customer],
        ).fetchall()

    def customers(self) -> list[tuple[str, str]]:
        """Customers, and the place of each."""
        return self._base.execute("SELECT customer, place FROM walks ORDER BY customer").fetchall()

    def counts(self, customer: str) -> Counts:
        found = self._base.execute(
            "SELECT count(*), count(digest), count(DISTINCT digest), coalesce(sum(size), 0) "
            "FROM assets WHERE customer = ?",
            [customer],
        ).fetchone()
        return Counts(*found)

    def _walk(self, customer: str) -> int:
        found = self._base.execute("SELECT number FROM walks WHERE customer = ?", [customer])
        return int(found.fetchone()[0])
