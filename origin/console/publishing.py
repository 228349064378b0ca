"""What shoppers see: a set goes live, is taken back, or goes back to what was live before."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.console.sets import find_set
from origin.console.tables import PromptRow, PublicationRow
from origin.live import live_records
from origin.publish import Published, Publisher
from origin.qa import audit
from origin.revoke import Revoked
from origin.revoke import revoke as bury
from origin.tables import AssetRow, CandidateRow


@dataclass(frozen=True)
class Outcome:
    """What publishing came to, and its number where anything went live."""

    published: Published
    number: int | None


def publish(desk: Desk, property: str, set_id: int | None, person: Person) -> Outcome:
    """Sign a record for every approved asset of a set, or of the property, that has none yet.

    All of it goes live in one transaction, or none; regions have it by the log soon after.
    """
    publisher = Publisher(
        desk.site(property),
        desk.database,
        desk.models,
        desk.key,
        desk.origin.approval_days,
        person.name,
    )
    with desk.database.reading() as session:
        only = None if set_id is None else _assets_of_set(session, set_id)
        before = _live(session, property)
    published = publisher.publish(only)
    if not published.signed:
        return Outcome(published, None)
    with desk.database.writing() as session:
        after = _live(session, property)
        changed = {asset: one for asset, one in after.items() if before.get(asset) != one}
        row = PublicationRow(
            property=property,
            set_id=set_id,
            made_by=person.name,
            made_at=int(time.time()),
            after=changed,
            before={asset: before.get(asset) for asset in changed},
        )
        session.add(row)
        session.flush()
        number = row.id
    return Outcome(published, number)


def publications(desk: Desk, property: str) -> Sequence[PublicationRow]:
    """What went live when, the newest first."""
    query = (
        select(PublicationRow)
        .where(PublicationRow.property == property)
        .order_by(PublicationRow.id.desc())
        .limit(50)
    )
    with desk.database.reading() as session:
        return session.scalars(query).all()


def roll_back(desk: Desk, number: int, person: Person) -> tuple[int, int]:
    """Go back to what was live before a publication: how many returned, how many were revoked.

    What it brought is no longer approved. :class:`InputError` for one that was rolled back, or
    whose assets have other records by now.
    """
    with desk.database.writing() as session:
        row = session.get(PublicationRow, number)
        if row is None:
            raise NotHere(f"there is no publication {number}")
        if row.rolled_back_at is not None:
            raise InputError(f"publication {number} was rolled back already")
        now_live = _live(session, row.property)
        if any(now_live.get(asset) != one for asset, one in row.after.items()):
            raise InputError(
                f"of publication {number} something was revoked or published anew since; "
                "roll back the later one first, or revoke"
            )
        returning = {int(asset): one for asset, one in row.before.items() if one is not None}
        gone = [int(asset) for asset, one in row.before.items() if one is None]
        for asset, candidate_id in returning.items():
            _restore(session, asset, row.after[str(asset)], candidate_id)
        paths = list(session.scalars(select(AssetRow.path).where(AssetRow.id.in_(gone))))
        row.rolled_back_at = int(time.time())
        audit(session, person.name, "roll back", f"publication {number}", assets=len(row.after))
        property, why = row.property, f"publication {number} was rolled back"
    if paths:
        site = desk.site(property)
        bury(desk.database, site, desk.key, patterns=paths, by=person.name, reason=why)
    if returning:
        publish(desk, property, None, person)
    return len(returning), len(gone)


def revoke(
    desk: Desk, property: str, pattern: str, family: str, reason: str, person: Person
) -> Revoked:
    """Take records back: of one path, of all that fit a pattern, or of a family."""
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


def _restore(session: Session, asset_id: int, now_id: int, before_id: int) -> None:
    """Approval goes from the present candidate to the one before it."""
    now, before = session.get_one(CandidateRow, now_id), session.get_one(CandidateRow, before_id)
    if now.id != before.id:
        now.state, now.reason = "proposed", "rolled back"
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
