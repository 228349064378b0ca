"""From the hit list into QA: gallery, training, and records for a person to judge."""

from pathlib import Path

import msgspec
from rich.console import Console

from kvsync.files import write_file
from origin.analysis.command import LIST, find, read_list
from origin.analysis.hits import taken_as
from origin.analysis.take import Taken, take


def take_into_qa(
    id: str,
    into: Path,
    out: Path,
    *,
    property: str | None,
    minutes: float,
    seeds: int,
    min_score: float,
    state: Path | None,
    console: Console,
) -> Taken:
    """Train the family ``id`` of the list in ``into`` and propose its records in its property.

    Nothing is approved: that takes a person. Raises InputError where the list has no such family,
    nothing tells its members apart, or ``out`` is there already.
    """
    from origin.dehydrate import Effort
    from origin.dehydrate_command import dehydrate_with_progress
    from origin.training.command import train_command
    from origin.workplace import open_workplace

    taken = write_gallery(id, into, out)
    console.print(
        f"{taken.family}: {taken.assets} images, {_words(taken)}, by {taken.proposal.source}",
        highlight=False,
    )
    model = out / "model"
    train_command(out, model, minutes=minutes, console=console)
    effort = Effort(seeds=seeds, min_score=min_score, steps=1)
    family, _ = find(into, id)
    with open_workplace(property or family.customers[0], state) as place:
        dehydrate_with_progress(
            console, place, out, model, effort, only="*", resume=True, origin_url=None
        )
    console.print("next: ./rehydrate qa list, qa approve; then ./rehydrate publish")
    return taken


def write_gallery(id: str, into: Path, out: Path) -> Taken:
    """The gallery of a family of the list, which the list says from then on."""
    family, places = find(into, id)
    taken = take(family, places, out)
    found = read_list(into)
    marked = tuple(taken_as(found.hits, {id: str(out)}))
    write_file(into / LIST, msgspec.json.encode(msgspec.structs.replace(found, hits=marked)))
    return taken


def _words(taken: Taken) -> str:
    found = taken.proposal.vocabulary
    return ", ".join(f"{name} ({len(values)} values)" for name, values in found.items())
