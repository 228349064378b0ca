"""Originals that change or vanish take their records with them, without anyone saying so.

Told by an event of the asset store, or found by comparing its listing with what was published.
Either is only a hint: a record is withdrawn for what the store itself answers, so a forged event
can at most make the origin look.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote, unquote_plus

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from kvsync.encoding import UNREADABLE
from kvsync.errors import BadRequest, OriginUnavailable, RehydrationError, RequestError
from kvsync.signing import SigningKey
from origin.database import Database
from origin.live import USED
from origin.revoke import withdraw_changed
from origin.site import Site
from origin.tables import AssetRow, RecordRow

_log = logging.getLogger(__name__)
MAX_EVENT_BYTES = 1 << 20
BY = "asset store"
# An empty bucket is more often a store that is not mounted than a shop that closed.
_MANY, _MOST_GONE = 20, 0.5


class _Object(msgspec.Struct, frozen=True):
    key: str


class _S3(msgspec.Struct, frozen=True):
    object: _Object


class _Event(msgspec.Struct, frozen=True):
    s3: _S3


class StoreEvents(msgspec.Struct, frozen=True):
    """The notification that S3 and servers like it post: of each, only which object it is of."""

    records: Annotated[tuple[_Event, ...], msgspec.Meta(max_length=10_000)] = msgspec.field(
        name="Records"
    )

    @classmethod
    def keys_of(cls, raw: bytes) -> list[str]:
        """The keys of the objects, unescaped; :class:`BadRequest` for anything else."""
        try:
            found = msgspec.json.decode(raw, type=cls)
        except UNREADABLE as error:
            raise BadRequest(f"not a notification of an S3 bucket: {error}") from error
        return [unquote_plus(one.s3.object.key) for one in found.records]


@dataclass(frozen=True)
class Watcher:
    """Watches the asset stores of ``sites``; ``withdrawn`` is called when something was."""

    database: Database
    sites: Mapping[str, Site]
    key: SigningKey
    withdrawn: Callable[[], None]
    _unchanged: dict[int, str] = field(default_factory=dict)

    async def run(self, every_s: float) -> None:
        """Compare every store's listing with what was published, for ever."""
        while True:
            for site in self.sites.values():
                try:
                    await asyncio.to_thread(self.look, site)
                except (RehydrationError, SQLAlchemyError) as error:
                    _log.error("originals of %s are not watched: %s", site.id, error)
            await asyncio.sleep(every_s)

    def look(self, site: Site) -> dict[str, str]:
        """Withdraw what changed or vanished; the reason by path.

        :class:`OriginUnavailable` when so much is gone that the store is more likely to be.
        """
        published = self._published(site)
        there = dict(site.dam.etags())
        gone = [id for id, (name, _) in published.items() if name not in there]
        if len(gone) >= _MANY and len(gone) > _MOST_GONE * len(published):
            raise OriginUnavailable(
                f"{site.id}: {len(gone)} of {len(published)} originals are gone; if they are meant "
                "to be, ./rehydrate revoke their records"
            )
        suspect = {
            id: there.get(name)
            for id, (name, etag) in published.items()
            if there.get(name) not in (etag, self._unchanged.get(id, etag))
        }
        withdrawn = self._withdraw(site, suspect)
        # Uploaded anew with the same bytes: looked at once, not at every listing.
        self._unchanged.update((id, etag) for id, etag in suspect.items() if etag is not None)
        return withdrawn

    def told(self, site: Site, raw: bytes) -> dict[str, str]:
        """Withdraw what an event of the store is about, if the store agrees; the reason by path."""
        keys = set()
        for key in StoreEvents.keys_of(raw):
            if name := site.dam.name_of_key(key):
                try:
                    keys.add(site.request(site.prefix + quote(name)).key)
                except RequestError:
                    continue  # No URL leads to it, so nothing was published of it.
        query = select(AssetRow.id).where(AssetRow.property == site.id, AssetRow.key.in_(keys))
        with self.database.reading() as session:
            ids = session.scalars(query).all()
        return self._withdraw(site, ids)

    def _withdraw(self, site: Site, ids: Collection[int]) -> dict[str, str]:
        if not ids:
            return {}
        found = withdraw_changed(self.database, site, self.key, by=BY, only=ids)
        for path, why in found.items():
            _log.warning("%s: %s; its record is withdrawn", path, why)
        if found:
            self.withdrawn()
        return found

    def _published(self, site: Site) -> dict[int, tuple[str, str]]:
        """By asset id, name and last seen ETag of everything that has a record in use."""
        query = (
            select(AssetRow.id, AssetRow.path, AssetRow.validator)
            .join(RecordRow, RecordRow.asset_id == AssetRow.id)
            .where(RecordRow.property == site.id)
            .where(RecordRow.kind.in_(USED), RecordRow.ended_at.is_(None))
        )
        with self.database.reading() as session:
            rows = session.execute(query).all()
        return {id: (site.name_of(site.request(path)), etag) for id, path, etag in rows}
