"""Which records are in force: those that no later record or tombstone has replaced.

A canary's is beside its asset's live one, and in force in its regions alone.
"""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from origin.tables import RecordRow


def live_records(property: str) -> Select[RecordRow]:
    return (
        select(RecordRow)
        .where(RecordRow.property == property)
        .where(RecordRow.kind == "record", RecordRow.ended_at.is_(None))
        .order_by(RecordRow.seq)
    )


def live_record(session: Session, property: str, asset_id: int) -> RecordRow | None:
    """The asset's one among them."""
    query = live_records(property).where(RecordRow.asset_id == asset_id)
    return session.scalars(query).one_or_none()


USED = ("record", "canary")
"""Kinds of records that some region may use."""


def used_records(property: str) -> Select[RecordRow]:
    """Live ones and canaries."""
    return (
        select(RecordRow)
        .where(RecordRow.property == property)
        .where(RecordRow.kind.in_(USED), RecordRow.ended_at.is_(None))
        .order_by(RecordRow.seq)
    )
