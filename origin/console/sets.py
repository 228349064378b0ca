"""Prompt sets from upload to rows: what they are checked against, and taking the good ones in."""

import csv
import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.console.known import known
from origin.console.prompt_sets.checking import (
    FamilyModel,
    Good,
    check_lines,
)
from origin.console.prompt_sets.reading import Line, Wrong, read_lines
from origin.console.prompt_sets.templates import filled, named_by
from origin.console.tables import PromptCountRow, PromptRow, PromptSetRow
from origin.qa import audit
from origin.tables import AssetRow
from regional_gpu.generator.model_folder import (
    POSED_FLOW_PIPELINE,
    POSED_FLOW_STEPS,
    read_json,
)
from regional_gpu.generator.text import read_vocabulary

EXAMPLES = 20


@dataclass(frozen=True)
class Preview:
    """Every row of an upload with its verdict."""

    good: Sequence[Good]
    wrong: Sequence[Wrong]

    def count(self, verdict: str) -> int:
        return sum(one.verdict == verdict for one in self.good)


def preview(desk: Desk, property: str, family: str, lines: Iterable[Line | Wrong]) -> Preview:
    """Check each line against the family's model and the asset store; nothing is written."""
    good: list[Good] = []
    wrong: list[Wrong] = []
    model = family_model(desk, property, family)
    for one in check_lines(lines, model, known(desk, property, family)):
        if isinstance(one, Wrong):
            wrong.append(one)
        else:
            good.append(one)
    if not good and not wrong:
        raise InputError("the file has no rows")
    return Preview(good, wrong)


def lines_of_file(data: bytes, name: str) -> Iterable[Line | Wrong]:
    return read_lines(data, name)


def lines_of_template(desk: Desk, property: str, template: str, pattern: str) -> Iterable[Line]:
    """A line for each asset of the gallery's manifest, or, with ``pattern``, of the asset store."""
    site = desk.site(property)
    if pattern.strip():
        named = list(named_by(pattern.strip(), site.dam.list()))
        if not named:
            raise InputError(f"no original's name is like {pattern.strip()!r}")
        return filled(template, [(site.request(name).path, values) for name, values in named])
    if property not in desk.catalogues:
        raise InputError("this property has no manifest; give a pattern of file names")
    assets = desk.catalogues[property].assets
    return filled(template, [(site.request(n).path, a.attributes) for n, a in assets.items()])


def example(desk: Desk, property: str, family: str) -> bytes:
    """A prompt set as CSV to begin with: the first assets of the family that are known by their
    attributes; :class:`InputError` where none is."""
    assets = list(islice(_described(desk, property, family), EXAMPLES))
    if not assets:
        raise InputError(f"family {family!r} has no described asset yet: write the rows yourself")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("asset", "prompt", "seed"))
    for name, attributes in assets:
        prompt = ", ".join(f"{value} {what}" for what, value in attributes.items())
        rows.writerow((name, prompt, ""))
    return text.getvalue().encode()


def _described(
    desk: Desk, property: str, family: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    catalogue = desk.catalogues.get(property)
    if catalogue is not None and catalogue.family == family:
        for name, asset in catalogue.assets.items():
            yield name, asset.attributes
        return
    of_family = (
        select(AssetRow)
        .where(AssetRow.property == property, AssetRow.family == family)
        .order_by(AssetRow.path)
        .limit(EXAMPLES)
    )
    with desk.database.reading() as session:
        for row in session.scalars(of_family):
            if row.attributes:
                yield row.path, row.attributes


def words_of(desk: Desk, property: str, family: str) -> Mapping[str, Sequence[str]]:
    """The values of each attribute that the family's newest model knows; none without one, or
    where it takes any words."""
    if desk.newest_model(property, family) is None:
        return {}
    vocabulary = family_model(desk, property, family).vocabulary
    return vocabulary.attributes if vocabulary else {}


def failed_rows(session: Session, set_id: int) -> Sequence[PromptRow]:
    """The first rows of a set whose candidates could not be made, each with its reason."""
    query = select(PromptRow).where(PromptRow.set_id == set_id, PromptRow.state == "failed")
    return session.scalars(query.order_by(PromptRow.line).limit(EXAMPLES)).all()


def take_in(
    desk: Desk, property: str, family: str, name: str, rows: Sequence[Good], person: Person
) -> int:
    """Write the good rows down as a new set, all or none; its number.

    Rows that are known already stay out. :class:`InputError` when nothing is left.
    """
    model = desk.newest_model(property, family)
    fresh = [one for one in rows if one.verdict != "known"]
    if model is None or not fresh:
        raise InputError("nothing to take in: every good row is known already")
    with desk.database.writing() as session:
        new = PromptSetRow(property=property, family=family, model=model.digest, name=name)
        return add_set(session, new, [_row(one) for one in fresh], person)


def add_set(session: Session, new: PromptSetRow, rows: Sequence[PromptRow], person: Person) -> int:
    """Open a set of ``rows`` in somebody's name; its number."""
    new.name = new.name.strip()[:120] or "untitled"
    new.made_by, new.made_at = person.name, int(time.time())
    session.add(new)
    session.flush()
    for row in rows:
        row.set_id = new.id
    session.add_all(rows)
    audit(session, person.name, "prompt set", new.name, set=new.id, rows=len(rows))
    return new.id


def find_set(session: Session, set_id: int) -> PromptSetRow:
    found = session.get(PromptSetRow, set_id)
    if found is None:
        raise NotHere(f"there is no prompt set {set_id}")
    return found


def states_of(session: Session, set_id: int) -> dict[str, int]:
    """How many of a set's rows wait, failed, or have a candidate in which state."""
    query = select(PromptCountRow.state, PromptCountRow.prompts).where(
        PromptCountRow.set_id == set_id, PromptCountRow.prompts > 0
    )
    return {name: count for name, count in session.execute(query)}


def family_model(desk: Desk, property: str, family: str) -> FamilyModel:
    """What prompts of a family are checked against; :class:`InputError` without a model."""
    row = desk.newest_model(property, family)
    if row is None:
        raise InputError(f"family {family!r} has no model yet: train one, publish it, come back")
    folder = desk.models.folder_of(row.digest)
    words = folder / "tokenizer" / "vocabulary.json"
    vocabulary = read_vocabulary(words) if words.exists() else None
    most_steps = _most_steps(folder) if vocabulary else None
    return FamilyModel(row.digest, vocabulary, _size_of(folder), most_steps=most_steps)


def _row(one: Good) -> PromptRow:
    return PromptRow(
        line=one.number,
        path=one.path,
        prompt=one.prompt,
        attributes=one.attributes,
        seed=one.seed,
        width=one.width,
        height=one.height,
        steps=one.steps,
        sampler=one.sampler,
        guidance=one.guidance,
    )


def _most_steps(folder: Path) -> int:
    """Of one of our own models."""
    kind = read_json(folder / "model_index.json").get("_class_name")
    return POSED_FLOW_STEPS if kind == POSED_FLOW_PIPELINE else 1


def _size_of(folder: Path) -> tuple[int, int] | None:
    """The one size that a family's own model draws."""
    config = folder / "decoder" / "config.json"
    if not config.exists():
        return None
    said = read_json(config)
    width, height = said.get("width"), said.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
