"""Signed records and tombstones on their way out: models first, then the stores, then the caches.

The database knows them first. Whatever was written there and not confirmed by everyone is sent
again by the next command; sending twice changes nothing.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2
import msgspec
from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import aliased

from kvsync.errors import StoreUnavailable
from kvsync.store import ValkeyStore
from kvsync.wire import MODELS_PATH, PURGE_PATH, Hold, Purge
from origin.database import Database
from origin.tables import RecordRow

# Stores are far away: the edges' own limit would be too tight.
_STORE_TIMEOUT_S = 10.0
_PURGE_TIMEOUT_S = 10.0
# A region pulls the model over the middle mile and loads it before it answers.
_HOLD_TIMEOUT_S = 120.0
# What a region draws of a model before it offers it, spread over its records by path.
CALIBRATION_SAMPLE = 8


@dataclass(frozen=True)
class Targets:
    """One store per region; regions and edges that keep renditions, by the URL of their admin."""

    stores: tuple[str, ...]
    regions: tuple[str, ...] = ()
    edge_admins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Confirmation:
    """What a target said; ``detail`` is what it did, or why it did not."""

    target: str
    confirmed: bool
    detail: str


@dataclass(frozen=True)
class _Load:
    """What is to be sent: rows not confirmed yet, all that is valid, and keys to purge."""

    pending: Sequence[RecordRow]
    everything: Sequence[RecordRow]
    stale_keys: tuple[bytes, ...]
    samples: Mapping[bytes, Hold]  # by model: what it is calibrated by

    @property
    def records(self) -> int:
        return sum(1 for row in self.everything if row.kind == "record")


def deliver(database: Database, property: str, targets: Targets) -> list[Confirmation]:
    """Bring every store and cache up to date; what each target answered, in order.

    A region holds a model before a record that needs it becomes readable there: while one does
    not confirm, only tombstones are written. A store that lost records is given all of them.
    Regions are purged before edges, which would otherwise fetch the old rendition again.
    """
    load = _load(database, property)
    confirmations = asyncio.run(_deliver(property, load, targets))
    if all(one.confirmed for one in confirmations):
        ids = [row.id for row in load.pending]
        with database.writing() as session:
            session.execute(
                update(RecordRow).where(RecordRow.id.in_(ids)).values(delivered_at=int(time.time()))
            )
    return confirmations


async def _deliver(property: str, load: _Load, targets: Targets) -> list[Confirmation]:
    async with httpx2.AsyncClient(timeout=_HOLD_TIMEOUT_S) as client:
        held = await asyncio.gather(
            *(
                _hold(client, url, property, model, sample)
                for url in targets.regions
                for model, sample in load.samples.items()
            )
        )
    ready = all(one.confirmed for one in held)
    stored = await asyncio.gather(*(_fill(url, property, load, ready) for url in targets.stores))
    purged: list[Confirmation] = []
    if load.stale_keys:
        tags = tuple(key.hex() for key in load.stale_keys)
        async with httpx2.AsyncClient(timeout=_PURGE_TIMEOUT_S) as client:
            for kind in (targets.regions, targets.edge_admins):
                purged += await asyncio.gather(*(_purge(client, url, tags) for url in kind))
    return [*held, *stored, *purged]


async def _hold(
    client: httpx2.AsyncClient, url: str, property: str, model: bytes, sample: Hold
) -> Confirmation:
    target = f"region {url}"
    name = model.hex()
    try:
        answer = await client.post(
            f"{url.rstrip('/')}{MODELS_PATH}/{property}/{name}", content=sample.encode()
        )
    except httpx2.HTTPError as error:
        return Confirmation(target, False, f"no answer: {error or type(error).__name__}")
    if answer.status_code != 200:
        return Confirmation(target, False, f"cannot hold model {name[:8]}: {answer.text[:200]}")
    return Confirmation(target, True, f"holds model {name[:8]}")


async def _fill(url: str, property: str, load: _Load, models_ready: bool) -> Confirmation:
    target = f"store {url.rpartition('@')[2]}"
    store = ValkeyStore(url, timeout_s=_STORE_TIMEOUT_S)
    try:
        lost = await store.count(property) < load.records - sum(
            1 for row in load.pending if row.kind == "record"
        )
        rows = load.everything if lost else load.pending
        tombstones = {row.asset.key: row.signed for row in rows if row.kind == "tombstone"}
        records = {row.asset.key: row.signed for row in rows if row.kind == "record"}
        # A tombstone drops the record under it, so a newer record has to follow.
        if tombstones:
            await store.bury(property, tombstones)
        if not models_ready:
            return Confirmation(target, False, "records held back: a region lacks their model")
        if records:
            await store.put(property, records)
    except StoreUnavailable as error:
        return Confirmation(target, False, str(error))
    finally:
        await store.close()
    return Confirmation(target, True, f"{len(records)} records, {len(tombstones)} tombstones")


async def _purge(client: httpx2.AsyncClient, url: str, tags: tuple[str, ...]) -> Confirmation:
    target = f"cache {url}"
    try:
        answer = await client.post(
            url.rstrip("/") + PURGE_PATH, content=msgspec.json.encode(Purge(tags))
        )
    except httpx2.HTTPError as error:
        return Confirmation(target, False, f"no answer: {error or type(error).__name__}")
    if answer.status_code != 200:
        return Confirmation(target, False, f"answers {answer.status_code}")
    return Confirmation(target, True, f"purged {answer.json().get('purged')} renditions")


def _load(database: Database, property: str) -> _Load:
    """Of each asset, the last record or tombstone of either kind, oldest first."""
    later = aliased(RecordRow)
    newest = (
        select(func.max(RecordRow.seq))
        .where(RecordRow.property == property)
        .group_by(RecordRow.asset_id, RecordRow.kind)
    )
    replaces = exists().where(
        later.asset_id == RecordRow.asset_id, later.property == property, later.seq < RecordRow.seq
    )
    valid = select(RecordRow, replaces).where(
        RecordRow.property == property, RecordRow.seq.in_(newest)
    )
    with database.reading() as session:
        found = session.execute(valid.order_by(RecordRow.seq)).all()
    current = [row for row, _ in found if row.kind == "tombstone" or row.ended_at is None]
    pending = [row for row in current if row.delivered_at is None]
    unsent = {row.id for row in pending}
    stale = tuple(
        row.asset.key
        for row, replaced in found
        # A carried approval is of the picture that the caches have: they keep it.
        if replaced and row.id in unsent and not (row.candidate and row.candidate.carried_from)
    )
    return _Load(pending, current, stale, _samples(current))


def _samples(current: Sequence[RecordRow]) -> dict[bytes, Hold]:
    """Of each model that records need, some of them: the same ones while they do not change."""
    by_model: dict[bytes, list[RecordRow]] = defaultdict(list)
    for row in sorted(current, key=lambda one: one.asset.path):
        if row.kind == "record" and row.candidate is not None:
            by_model[row.candidate.model].append(row)
    return {
        model: Hold(tuple((row.asset.key, row.signed) for row in _spread(rows, CALIBRATION_SAMPLE)))
        for model, rows in sorted(by_model.items())
    }


def _spread(rows: Sequence[RecordRow], count: int) -> list[RecordRow]:
    """At most ``count`` of them, evenly over the list."""
    return [rows[at * len(rows) // count] for at in range(count)] if len(rows) > count else [*rows]
