"""A prompt set's rows to candidates: draw, measure, propose. The worker's, for it needs torch."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from kvsync.errors import InputError
from kvsync.record import Original
from origin.console.desk import Desk
from origin.console.painting import small
from origin.console.pictures import Pictures, name_of
from origin.console.tables import PromptRow, PromptSetRow
from origin.dehydrate import Drawn, measured
from origin.inventory import describe_original, note_asset, read_original
from origin.lessons import Lessons, Pixels, lessons_of
from origin.qa import find_or_add_candidate, recipe_of
from origin.tables import AssetRow, CandidateRow
from regional_gpu.generator.fingerprint import ALGORITHM
from regional_gpu.generator.load import Generator, Job


@dataclass(frozen=True)
class Tools:
    """What candidates are made with; ``decode`` takes an original's bytes and its name."""

    generator: Generator
    decode: Callable[[bytes, str], Pixels]
    pictures: Pictures


def propose(
    desk: Desk, tools: Tools, chosen: PromptSetRow, row: PromptRow, seeds: int, least: float
) -> int:
    """Draw one row's candidates and write them down; the id of the one that is proposed.

    Raises InputError for an original that is missing or broken, or a prompt the model refuses.
    """
    site = desk.site(chosen.property)
    info, data = read_original(site, row.path)
    reference = tools.decode(data, row.path)
    if reference.shape[:2] != (row.height, row.width):
        tall, wide = reference.shape[:2]
        raise InputError(f"the original is {wide}x{tall}, the prompt asks {row.width}x{row.height}")
    original = describe_original(info, data)
    lessons = lessons_of(desk.database, chosen.property, row.path, original.digest)
    lessons.demand_right_original()
    drawn = _draw(tools.generator, row, seeds, reference, lessons)
    with desk.database.writing() as session:
        asset = note_asset(session, site, row.path, chosen.family, row.attributes, original)
        model = tools.generator.digest
        rows = [_note(session, asset, original, model, one, seeds, least) for one in drawn]
        for other in rows[1:]:
            if other.state in ("proposed", "short"):
                other.state = "spare"
        session.flush()
        names = [name_of("thumb", model, recipe_of(one)) for one in rows]
    for name, one in zip(names, drawn, strict=True):
        tools.pictures.keep(name, small(one.pixels))
    return rows[0].id


def _draw(
    generator: Generator, row: PromptRow, seeds: int, reference: Pixels, lessons: Lessons
) -> list[Drawn]:
    """The best seeds, best first; a seed that was asked for is drawn whatever was said of it."""
    plain = Job(row.prompt, 0, row.width, row.height, row.steps, row.sampler, row.guidance)
    if row.seed is not None:
        return measured(generator, [replace(plain, seed=row.seed)], reference)
    jobs = [replace(plain, seed=seed) for seed in lessons.fresh_seeds(row.prompt, seeds)]
    return measured(generator, jobs, reference, lessons)


def _note(
    session: Session,
    asset: AssetRow,
    original: Original,
    model: bytes,
    drawn: Drawn,
    seeds: int,
    least: float,
) -> CandidateRow:
    """One picture's row; what a person decided of the same recipe stays decided."""
    row = find_or_add_candidate(session, asset.id, original.digest, drawn.job.recipe(model))
    row.seeds_tried, row.region_delta_e = seeds, dict(drawn.delta_e)
    if row.state in ("approved", "rejected"):
        return row
    short = least - drawn.ssimulacra2
    row.state, row.reason = ("short", f"{short:.1f} short") if short > 0 else ("proposed", "")
    row.algorithm, row.fingerprint = ALGORITHM, drawn.check
    row.ssimulacra2, row.psnr = drawn.ssimulacra2, drawn.psnr
    row.delta_e = drawn.mean_delta_e
    return row
