"""A prompt set of candidates that came without one: from the hit list, or the command line."""

from sqlalchemy import select

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.sets import add_set
from origin.console.tables import PromptRow, PromptSetRow
from origin.qa import recipe_of
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
        name, model = f"{family}, gathered", found[-1].model
        new = PromptSetRow(property=property, family=family, model=model, name=name)
        rows = [_row(line, one) for line, one in enumerate(found, start=1)]
        return add_set(session, new, rows, person)


def _row(line: int, candidate: CandidateRow) -> PromptRow:
    recipe = recipe_of(candidate)
    return PromptRow(
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
