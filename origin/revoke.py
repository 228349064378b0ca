"""Taking records back: a tombstone per asset, signed and written down before it is delivered."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from kvsync.record import Tombstone
from kvsync.signing import SigningKey
from origin.database import Database, next_seq
from origin.qa import audit, reject_candidates
from origin.site import Site
from origin.tables import AssetRow, CandidateRow, RecordRow


@dataclass(frozen=True)
class Revoked:
    """Paths revoked now, and paths that were before (their tombstones may need delivery)."""

    now: list[str]
    before: list[str]


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
    return Revoked(now, [row.path for row in chosen if row.path not in now])


def _bury(
    session: Session, site: Site, key: SigningKey, asset: AssetRow, by: str, reason: str
) -> bool:
    """False when there was nothing live to bury."""
    query = select(RecordRow).where(
        RecordRow.asset_id == asset.id, RecordRow.kind == "record", RecordRow.ended_at.is_(None)
    )
    live = session.scalars(query).one_or_none()
    approvals = select(CandidateRow).where(
        CandidateRow.asset_id == asset.id, CandidateRow.state == "approved"
    )
    reject_candidates(session, session.scalars(approvals), by=by, reason=f"revoked: {reason}")
    if live is None:
        return False
    now = int(time.time())
    live.ended_at = now
    seq = next_seq(session, site.id)
    session.add(
        RecordRow(
            property=site.id,
            seq=seq,
            asset_id=asset.id,
            kind="tombstone",
            signed=Tombstone("tombstone", asset.key, site.id, seq).sign(key),
            made_at=now,
        )
    )
    audit(session, by, "revoke", asset.path, seq=seq, reason=reason)
    return True


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
