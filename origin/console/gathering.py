"""A prompt set of candidates that came without one: from the hit list, or the command line."""

import time

from sqlalchemy import select

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.tables import PromptRow, PromptSetRow
from origin.qa import audit, recipe_of
from origin.tables import CandidateRow


def gather(desk: Desk, property: str, family: str, person: Person) -> int:
    """Put what is proposed of ``family`` and is in no set into a new one, to be sampled, approved
    and published together; its number. :class:`InputError` where there is none."""
    free = (
        select(CandidateRow)
        .where(CandidateRow.property == property, CandidateRow.family == family)
        .where(CandidateRow.state == "proposed")
        .where(~select(PromptRow.id).where(PromptRow.candidate_id == CandidateRow.id).exists())
        .order_by(CandidateRow.path, CandidateRow.id)
    )
    with desk.database.writing() as session:
        found = session.scalars(free).all()
        if not found:
            raise InputError(f"each candidate of {family} that waits is in a set already")
        new = PromptSetRow(
            property=property,
            family=family,
            model=found[-1].model,
            name=f"{family}, gathered",
            made_by=person.name,
            made_at=int(time.time()),
        )
        session.add(new)
        session.flush()
        session.add_all(_row(new.id, line, one) for line, one in enumerate(found, start=1))
        audit(session, person.name, "prompt set", new.name, set=new.id, rows=len(found))
        return new.id


def _row(set_id: int, line: int, candidate: CandidateRow) -> PromptRow:
    recipe = recipe_of(candidate)
    return PromptRow(
        set_id=set_id,
        line=line,
        path=candidate.path,
        prompt=recipe.prompt,
        attributes=candidate.asset.attributes,
        seed=recipe.seed,
        width=recipe.width,
        height=recipe.height,
        steps=recipe.steps,
        sampler=recipe.sampler,
        guidance=recipe.guidance,
        state="done",
        candidate_id=candidate.id,
    )
