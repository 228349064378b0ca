"""Taking records back: a tombstone per asset, signed and written down before it is delivered."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from kvsync.log import Bury
from kvsync.record import Tombstone
from kvsync.signing import SigningKey
from origin.dam import AssetNotFound
from origin.database import Database, next_seq
from origin.inventory import current_original
from origin.live import used_records
from origin.qa import REVOKED, audit, reject_candidates
from origin.site import Site
from origin.sync.outbox import append
from origin.tables import AssetRow, CandidateRow, RecordRow

# So many ids may stand in one query on every database.
_FEW = 500


@dataclass(frozen=True)
class Revoked:
    """Paths revoked now, and paths that were before; the property's last tombstone.

    ``seq`` is its number in the log, ``at`` the Unix second in which it was written.
    """

    now: list[str]
    before: list[str]
    seq: int
    at: int


def revoke(
    database: Database,
    site: Site,
    key: SigningKey,
    *,
    patterns: Iterable[str] = (),
    family: str | None = None,
    by: str,
    reason: str,
) -> Revoked:
    """Bury the live records of the assets named by path, pattern or family.

    Their approvals are withdrawn, so that publishing again brings none of them back.
    :class:`InputError` for a path that never had a record.
    """
    with database.writing() as session:
        chosen = _choose(session, site, patterns, family)
        now = [row.path for row in chosen if _bury(session, site, key, row, by, reason)]
        session.flush()
        last = session.scalars(
            select(RecordRow)
            .where(RecordRow.property == site.id, RecordRow.kind == "tombstone")
            .order_by(RecordRow.seq.desc())
            .limit(1)
        ).one()
    before = [row.path for row in chosen if row.path not in now]
    return Revoked(now, before, last.seq, last.made_at)


def withdraw_changed(
    database: Database,
    site: Site,
    key: SigningKey,
    *,
    by: str,
    only: Collection[int] | None = None,
) -> dict[str, str]:
    """Bury live records whose original is another now, or gone; the reason by path.

    ``only`` are the ids of the assets to look at, else all. An approval of the new original
    stands.
    """
    query = used_records(site.id)
    if only is not None and len(only) <= _FEW:
        query = query.where(RecordRow.asset_id.in_(only))
    with database.reading() as session:
        rows = session.scalars(query).all()
    used = [row for row in rows if only is None or row.asset_id in only]
    changed: dict[int, str] = {}
    for row in used:
        old = row.candidate.original if row.candidate is not None else b""
        try:
            if current_original(database, site, row.asset.path).digest != old:
                changed[row.id] = "its original changed since it was approved"
        except AssetNotFound:
            changed[row.id] = "its original is not in the asset store any more"
    if not changed:
        return {}
    with database.writing() as session:
        found = session.scalars(used_records(site.id).where(RecordRow.id.in_(changed))).all()
        for row in found:
            original = row.candidate.original if row.candidate is not None else b""
            why = changed[row.id]
            approvals = _approvals(row.asset_id).where(CandidateRow.original == original)
            reject_candidates(session, session.scalars(approvals), by=by, reason=why)
            if row.ended_at is None:
                _end(session, site, key, row.asset, by, why)
    return {row.asset.path: changed[row.id] for row in found}


def _bury(
    session: Session, site: Site, key: SigningKey, asset: AssetRow, by: str, reason: str
) -> bool:
    """False when there was nothing in use to bury."""
    approvals = session.scalars(_approvals(asset.id))
    reject_candidates(session, approvals, by=by, reason=REVOKED + reason)
    query = used_records(site.id).where(RecordRow.asset_id == asset.id).limit(1)
    if session.scalars(query).first() is None:
        return False
    _end(session, site, key, asset, by, reason)
    return True


def _end(
    session: Session, site: Site, key: SigningKey, asset: AssetRow, by: str, reason: str
) -> None:
    """One tombstone ends the live record and every canary of the asset."""
    now = int(time.time())
    used = session.scalars(used_records(site.id).where(RecordRow.asset_id == asset.id)).all()
    for row in used:
        row.ended_at = now
    seq = next_seq(session, site.id)
    session.add(
        RecordRow(
            property=site.id,
            seq=seq,
            asset_id=asset.id,
            kind="tombstone",
            made_at=now,
        )
    )
    tombstone = Tombstone("tombstone", asset.key, site.id, seq)
    append(session, site.id, [Bury(seq, tombstone.key, tombstone.sign(key))])
    ended = [row.seq for row in used]
    audit(session, by, "revoke", asset.path, seq=seq, ended=ended, reason=reason)


def _approvals(asset_id: int) -> Select[CandidateRow]:
    return select(CandidateRow).where(
        CandidateRow.asset_id == asset_id, CandidateRow.state == "approved"
    )


def _choose(
    session: Session, site: Site, patterns: Iterable[str], family: str | None
) -> list[AssetRow]:
    """Assets that have or had a record."""
    query = (
        select(AssetRow)
        .where(AssetRow.property == site.id)
        .where(AssetRow.id.in_(select(RecordRow.asset_id)))
        .order_by(AssetRow.path)
    )
    known = session.scalars(query).all()
    chosen = {row.path: row for row in known if row.family == family}
    for pattern in patterns:
        full = pattern if pattern.startswith("/") else site.prefix + pattern
        found = [row for row in known if row.path == full or fnmatchcase(row.path, full)]
        if not found:
            raise InputError(f"{full}: no record of it was ever published")
        chosen.update((row.path, row) for row in found)
    if not chosen:
        raise InputError(f"nothing to revoke: no record of family {family!r}")
    return list(chosen.values())
