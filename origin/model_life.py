"""What became of each model: which records point to it, who holds it, and its retirement."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from kvsync.wire import MODELS_PATH
from origin.database import Database
from origin.live import live_records, used_records
from origin.model_store import ModelStore
from origin.qa import audit, this_user
from origin.tables import AuditRow, CandidateRow, ModelRow, RecordRow

BEGUN, LIVE = "model-update", "model-live"
_ANSWER_S = 10.0


@dataclass(frozen=True)
class Confirmation:
    """What a region said; ``detail`` is what it did, or why it did not."""

    target: str
    confirmed: bool
    detail: str


@dataclass(frozen=True)
class ModelLife:
    """One model; ``carried`` of its ``live`` records were approved with an earlier one."""

    digest: bytes
    family: str
    size: int
    added_at: int
    live: int
    carried: int
    proposed: int
    retired: bool

    @property
    def state(self) -> str:
        if self.retired:
            return "retired"
        if self.live:
            return "live"
        return "awaits approval" if self.proposed else "idle"


def list_models(database: Database, property: str) -> list[ModelLife]:
    """The models of a property, oldest first."""
    with database.reading() as session:
        rows = session.scalars(
            select(ModelRow).where(ModelRow.property == property).order_by(ModelRow.added_at)
        ).all()
        live = [one.candidate for one in session.scalars(used_records(property)) if one.candidate]
        return [_life(session, row, live) for row in rows]


def _life(session: Session, row: ModelRow, live: Sequence[CandidateRow]) -> ModelLife:
    mine = [one for one in live if one.model == row.digest]
    proposed = select(func.count()).where(
        CandidateRow.model == row.digest, CandidateRow.state == "proposed"
    )
    return ModelLife(
        row.digest,
        row.family,
        row.size,
        row.added_at,
        len(mine),
        sum(one.carried_from is not None for one in mine),
        session.scalar(proposed) or 0,
        row.retired_at is not None,
    )


def find_model(models: Sequence[ModelLife], name: str) -> ModelLife:
    """The one model whose hex digest begins with ``name``."""
    found = [one for one in models if one.digest.hex().startswith(name.lower())]
    if len(found) != 1:
        known = ", ".join(one.digest.hex()[:8] for one in models) or "none"
        count = "no model" if not found else f"{len(found)} models"
        raise InputError(f"{name!r}: {count} of that digest here; there is {known}")
    return found[0]


def retire(
    database: Database,
    models: ModelStore,
    property: str,
    model: ModelLife,
    regions: Sequence[str],
    *,
    delete: bool,
) -> list[Confirmation]:
    """Have every region drop a model that nothing points to; with ``delete``, the bucket too.

    Raises :class:`InputError` while a live record needs it, while the one that replaced it is not
    delivered everywhere, or, with ``delete``, while approvals lean on its pictures.
    """
    _demand_unused(database, property, model)
    if delete:
        _demand_no_anchor(database, property, model)
    answers = asyncio.run(_drop_everywhere(model.digest, regions))
    if not all(one.confirmed for one in answers):
        return answers
    with database.writing() as session:
        row = session.get_one(ModelRow, model.digest)
        row.retired_at = int(time.time())
        if delete:
            session.delete(row)
        audit(session, this_user(), "model-retire", model.digest.hex(), deleted=delete)
    if delete:
        models.remove(model.digest)
    return answers


def _demand_unused(database: Database, property: str, model: ModelLife) -> None:
    name = model.digest.hex()[:8]
    if model.live:
        raise InputError(
            f"model {name}: {model.live} live records need it; approve and publish those of its "
            "successor, or revoke them"
        )
    with database.reading() as session:
        undelivered = select(func.count()).where(
            RecordRow.property == property,
            RecordRow.delivered_at.is_(None),
            RecordRow.ended_at.is_(None),
        )
        waiting = session.scalar(undelivered) or 0
    if waiting:
        raise InputError(
            f"model {name}: {waiting} records are not delivered everywhere, so that a region may "
            "still serve by it; run ./rehydrate publish"
        )


def _demand_no_anchor(database: Database, property: str, model: ModelLife) -> None:
    with database.reading() as session:
        live = [one.candidate for one in session.scalars(live_records(property)) if one.candidate]
        seen = {one.carried_from for one in live if one.carried_from is not None}
        query = select(func.count()).where(
            CandidateRow.id.in_(seen), CandidateRow.model == model.digest
        )
        leaning = session.scalar(query) or 0
    if leaning:
        raise InputError(
            f"model {model.digest.hex()[:8]}: {leaning} live records were approved by its "
            "pictures, and the next update compares with those; keep it, or approve them anew"
        )


async def _drop_everywhere(digest: bytes, regions: Sequence[str]) -> list[Confirmation]:
    async with httpx2.AsyncClient(timeout=_ANSWER_S) as client:
        return list(await asyncio.gather(*(_drop(client, url, digest) for url in regions)))


async def _drop(client: httpx2.AsyncClient, url: str, digest: bytes) -> Confirmation:
    try:
        answer = await client.delete(f"{url.rstrip('/')}{MODELS_PATH}/{digest.hex()}")
    except httpx2.HTTPError as error:
        return Confirmation(f"region {url}", False, f"no answer: {error or type(error).__name__}")
    if answer.status_code != 200:
        return Confirmation(f"region {url}", False, f"answers {answer.status_code}")
    had = "dropped" if answer.json().get("dropped") else "had not had"
    return Confirmation(f"region {url}", True, f"{had} model {digest.hex()[:8]}")


async def ask_regions(regions: Sequence[str]) -> dict[str, dict[str, str]]:
    """What each region says of the models on its disk, by hex digest; why not, under ``""``."""

    async def one(client: httpx2.AsyncClient, url: str) -> dict[str, str]:
        try:
            answer = await client.get(f"{url.rstrip('/')}/readyz")
            found: dict[str, str] = answer.json()["models"]
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            return {"": f"no answer: {error or type(error).__name__}"}
        return found

    async with httpx2.AsyncClient(timeout=_ANSWER_S) as client:
        return dict(
            zip(regions, await asyncio.gather(*(one(client, url) for url in regions)), strict=True)
        )


def note_begun(database: Database, digest: bytes, began: float) -> None:
    """Write down when the walk to a new model began: with its pictures, before its training."""
    with database.writing() as session:
        audit(session, this_user(), BEGUN, digest.hex(), began=began)


def minutes_to_live(database: Database, property: str, now: float) -> dict[bytes, float]:
    """Models whose first records have just gone live, with the minutes since their walk began."""
    with database.writing() as session:
        told = set(session.scalars(select(AuditRow.subject).where(AuditRow.what == LIVE)))
        begun = session.scalars(select(AuditRow).where(AuditRow.what == BEGUN)).all()
        needed = {
            row.candidate.model.hex()
            for row in session.scalars(live_records(property))
            if row.candidate is not None and row.delivered_at is not None
        }
        found: dict[bytes, float] = {}
        for row in begun:
            if row.subject in needed and row.subject not in told:
                minutes = (now - row.detail["began"]) / 60
                found[bytes.fromhex(row.subject)] = minutes
                audit(session, this_user(), LIVE, row.subject, minutes=round(minutes, 2))
    return found
