"""What shoppers see: a set goes live in one region or in all, is taken back, or goes back to what
was live before."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.console.sets import find_set
from origin.console.tables import PromptRow, PublicationRow
from origin.live import live_records, used_records
from origin.publish import Published, Publisher
from origin.qa import audit
from origin.revoke import Revoked
from origin.revoke import revoke as bury
from origin.sync.command import serving
from origin.sync.confirm import last_given
from origin.tables import AssetRow, CandidateRow, RecordRow

# So many ids may stand in one query on every database.
_FEW = 500


@dataclass(frozen=True)
class Outcome:
    """What publishing came to, its number where anything went live, and the log's end then."""

    published: Published
    number: int | None
    seq: int


def publish(
    desk: Desk, property: str, set_id: int | None, person: Person, region: str = ""
) -> Outcome:
    """Sign a record for every approved asset of a set, or of the property, that has none yet.

    All of it goes live in one transaction, or none; regions have it by the log soon after. With
    ``region`` it is a canary, which all others pass over until :func:`go_everywhere`.
    :class:`InputError` for a region that was not admitted.
    """
    if region and region not in (known := serving(desk.origin, property)):
        raise InputError(f"no region {region[:40]!r}; there is {', '.join(known) or 'none'}")
    with desk.database.reading() as session:
        only = None if set_id is None else _assets_of_set(session, set_id)
        before = _live(session, property)
    published = _publisher(desk, property, person, region).publish(only)
    seq = last_given(desk.database, property)
    if not published.signed:
        return Outcome(published, None, seq)
    with desk.database.writing() as session:
        after = _canaries(session, property) if region else _live(session, property)
        signed = set(published.signed)
        paths = {str(row.id): row.path for row in _assets(session, [int(asset) for asset in after])}
        changed = {asset: one for asset, one in after.items() if paths[asset] in signed}
        row = PublicationRow(
            property=property,
            set_id=set_id,
            made_by=person.name,
            made_at=int(time.time()),
            assets=len(changed),
            after=changed,
            before={asset: before.get(asset) for asset in changed},
            region=region,
        )
        session.add(row)
        session.flush()
        number = row.id
    return Outcome(published, number, seq)


def go_everywhere(desk: Desk, number: int, person: Person) -> Outcome:
    """Put a canary into force in every region: just what it tried, or nothing.

    :class:`InputError` where something else was approved, revoked or put in its place since.
    """
    with desk.database.reading() as session:
        row = _find(session, number)
        if not row.is_canary:
            raise InputError(f"publication {number} is no canary any more")
        _demand_untouched(row, _canaries(session, row.property))
    assets = {int(asset) for asset in row.after}
    published = _publisher(desk, row.property, person, lifts=True).publish(assets)
    seq = last_given(desk.database, row.property)
    with desk.database.writing() as session:
        found = _find(session, number)
        found.everywhere_at = int(time.time())
        audit(session, person.name, "put everywhere", f"publication {number}", region=row.region)
    return Outcome(published, number, seq)


def publications(desk: Desk, property: str) -> Sequence[PublicationRow]:
    """What went live when, the newest first."""
    query = (
        select(PublicationRow)
        .where(PublicationRow.property == property)
        .order_by(PublicationRow.id.desc())
        .limit(50)
        # Of very many assets, and asked for by a roll back only.
        .options(defer(PublicationRow.after), defer(PublicationRow.before))
    )
    with desk.database.reading() as session:
        return session.scalars(query).all()


def find_publication(desk: Desk, number: int) -> PublicationRow:
    """:class:`NotHere` for a number that no publication has."""
    with desk.database.reading() as session:
        return _find(session, number)


def roll_back(desk: Desk, number: int, person: Person) -> tuple[int, int, int]:
    """Go back to what was live before a publication: how many returned, how many were revoked,
    and the log's end then.

    What it brought is no longer approved. Assets that were revoked or published anew since stay as
    they are; :class:`InputError` where all were, or where it was rolled back before.
    """
    with desk.database.writing() as session:
        row = _find(session, number)
        if row.rolled_back_at is not None:
            raise InputError(f"publication {number} was rolled back already")
        now = _canaries(session, row.property) if row.is_canary else _live(session, row.property)
        still = {asset: one for asset, one in row.after.items() if now.get(asset) == one}
        if not still:
            raise InputError(f"all of publication {number} was revoked or published anew since")
        before = {int(asset): row.before[asset] for asset in still}
        returning = {asset: one for asset, one in before.items() if one is not None}
        gone = [asset for asset, one in before.items() if one is None]
        for asset, candidate_id in still.items():
            _restore(session, candidate_id, returning.get(int(asset)))
        paths = [one.path for one in _assets(session, gone)]
        row.rolled_back_at = int(time.time())
        audit(session, person.name, "roll back", f"publication {number}", assets=len(still))
        property, why = row.property, f"publication {number} was rolled back"
    if paths:
        site = desk.site(property)
        bury(desk.database, site, desk.key, patterns=paths, by=person.name, reason=why)
    if returning:
        _publisher(desk, property, person, lifts=True).publish(returning)
    return len(returning), len(gone), last_given(desk.database, property)


def revoke(
    desk: Desk, property: str, pattern: str, family: str, reason: str, person: Person
) -> Revoked:
    """Take records back: of one path, of all that fit a pattern (``*``: everything), or of a
    family."""
    if bool(pattern.strip()) == bool(family):
        raise InputError("name an asset, or choose a family")
    if not reason.strip():
        raise InputError("say why: it stays in the audit")
    return bury(
        desk.database,
        desk.site(property),
        desk.key,
        patterns=[pattern.strip()] if pattern.strip() else [],
        family=family or None,
        by=person.name,
        reason=reason.strip(),
    )


def _publisher(
    desk: Desk, property: str, person: Person, region: str = "", *, lifts: bool = False
) -> Publisher:
    return Publisher(
        desk.site(property),
        desk.database,
        desk.models,
        desk.key,
        desk.origin.approval_days,
        person.name,
        regions=(region,) if region else (),
        lifts=lifts,
    )


def _find(session: Session, number: int) -> PublicationRow:
    row = session.get(PublicationRow, number)
    if row is None:
        raise NotHere(f"there is no publication {number}")
    return row


def _demand_untouched(row: PublicationRow, now: dict[str, int | None]) -> None:
    if any(now.get(asset) != one for asset, one in row.after.items()):
        raise InputError(
            f"of publication {row.id} something was revoked or published anew since; "
            "roll back the later one first, or revoke"
        )


def _restore(session: Session, now_id: int, before_id: int | None) -> None:
    """Approval goes from the present candidate to the one before it, if there was one."""
    if now_id == before_id:
        return
    now = session.get_one(CandidateRow, now_id)
    now.state, now.reason = "proposed", "rolled back"
    if before_id is not None:
        before = session.get_one(CandidateRow, before_id)
        before.state, before.reason = "approved", ""


def _assets_of_set(session: Session, set_id: int) -> set[int]:
    find_set(session, set_id)
    query = (
        select(CandidateRow.asset_id)
        .join(PromptRow, PromptRow.candidate_id == CandidateRow.id)
        .where(PromptRow.set_id == set_id)
    )
    return set(session.scalars(query))


def _live(session: Session, property: str) -> dict[str, int | None]:
    """The live candidate of each asset that has a record, by the asset's id as text."""
    rows = session.scalars(live_records(property))
    return {str(row.asset_id): row.candidate_id for row in rows}


def _canaries(session: Session, property: str) -> dict[str, int | None]:
    """The same of canaries."""
    rows = session.scalars(used_records(property).where(RecordRow.kind == "canary"))
    return {str(row.asset_id): row.candidate_id for row in rows}


def _assets(session: Session, ids: Collection[int]) -> Sequence[AssetRow]:
    found: list[AssetRow] = []
    left = sorted(ids)
    while left:
        some, left = left[:_FEW], left[_FEW:]
        found += session.scalars(select(AssetRow).where(AssetRow.id.in_(some)))
    return found
