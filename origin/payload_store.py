"""Payloads that are too large for their records: named by digest, in the bucket beside the models.

A payload is there before its record is published, and stays for as long as any record that is in
force names it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from kvsync.claims import claims_of
from kvsync.errors import MalformedRecord, RequestError
from kvsync.log import Canary, Put
from kvsync.record import KeptPayload
from origin.bucket import Bucket
from origin.database import Database
from origin.sync import truth
from origin.sync.outbox import entry_of
from origin.tables import LogEntryRow, PropertyRow

_DIGEST = re.compile("[0-9a-f]{64}")


class PayloadNotFound(RequestError):
    status = 404
    reason = "no-payload"


@dataclass(frozen=True)
class PayloadStore:
    """Each method may raise what a bucket does."""

    database: Database
    bucket: Bucket

    def keep(self, property: str, payloads: Iterable[bytes]) -> None:
        """Have payloads there.

        Whoever publishes calls it before, so that regions find them, and again afterwards: one
        that nothing named until then may have been dropped in between.
        """
        wanted = {KeptPayload.of(payload).digest.hex(): payload for payload in payloads}
        if wanted:
            there = self.bucket.names(_folder(property))
            for name in wanted.keys() - there:
                self.bucket.write(f"{_folder(property)}/{name}", wanted[name])

    def read(self, property: str, digest: str) -> bytes:
        """The payload of that hex digest; :class:`PayloadNotFound`."""
        is_name = _DIGEST.fullmatch(digest) is not None
        found = self.bucket.read(f"{_folder(property)}/{digest}") if is_name else None
        if found is None:
            raise PayloadNotFound(f"{property[:40]}: no payload {digest[:64]!r} here")
        return found

    def drop_unused(self, property: str) -> int:
        """Take out of the bucket what no record names any more; how many there were."""
        unused = self.bucket.names(_folder(property))
        if not unused:
            return 0
        with self.database.reading() as session:
            at = session.scalar(select(PropertyRow.seq).where(PropertyRow.id == property)) or 0
        for entry in self._in_force(property, at):
            unused.discard(_named(entry.signed))
        # Nothing is published while this is held, and what is published later is kept again.
        with self.database.writing() as session:
            session.get(PropertyRow, property, with_for_update=True)
            query = select(LogEntryRow.seq, LogEntryRow.tag, LogEntryRow.key, LogEntryRow.content)
            later = query.where(LogEntryRow.property == property, LogEntryRow.seq > at)
            for one in (entry_of(*row) for row in session.execute(later)):
                if isinstance(one, Put | Canary):
                    unused.discard(_named(one.signed))
            self.bucket.remove(_folder(property), unused)
        return len(unused)

    def _in_force(self, property: str, at: int) -> Iterator[Put | Canary]:
        entries = truth.in_force(self.database, property, at)
        yield from (one for one in entries if isinstance(one, Put))
        yield from truth.canaries(self.database, property, at)


def _folder(property: str) -> str:
    return f"payloads/{property}"


def _named(signed: bytes) -> str:
    """The hex digest of the payload that a record names, empty for none."""
    try:
        payload = claims_of(signed).payload
    except MalformedRecord:
        return ""
    return payload.digest.hex() if payload else ""
