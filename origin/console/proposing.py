"""A prompt set's rows to candidates: draw, measure, propose. The worker's, for it needs torch."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from kvsync.record import Original
from origin.console.desk import Desk
from origin.console.painting import small
from origin.console.pictures import Pictures, name_of
from origin.console.tables import PromptRow, PromptSetRow
from origin.dehydrate import Pixels, delta_e_inside, finalists, mean_delta_e
from origin.inventory import describe_original, note_asset, read_original
from origin.qa import find_or_add_candidate, recipe_of
from origin.tables import AssetRow, CandidateRow
from regional_gpu.generator.fingerprint import ALGORITHM, fingerprint
from regional_gpu.generator.load import Generator, Job
from regional_gpu.generator.score import psnr, ssimulacra2
from regional_gpu.generator.text import Vocabulary

# A colour this far off is worth as much as a point of SSIMULACRA2, once somebody complained.
_DELTA_E_OF_A_POINT = 0.25
WRONG_COLOUR = "wrong colour"


@dataclass(frozen=True)
class Drawn:
    """One seed's picture, measured; ``delta_e`` is by attribute."""

    job: Job
    pixels: Pixels
    ssimulacra2: float
    delta_e: dict[str, float]
    psnr: float
    check: bytes

    @property
    def mean_delta_e(self) -> float:
        return float(np.mean(list(self.delta_e.values())))


@dataclass(frozen=True)
class Lessons:
    """What rejections said of an asset: seeds not to be drawn again, and whether colour counts."""

    seeds: frozenset[tuple[str, int]] = frozenset()
    colour: bool = False


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
    lessons = _lessons(desk, chosen.property, row.path, original)
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
    """The best seeds, best first."""
    plain = Job(row.prompt, 0, row.width, row.height, row.steps, row.sampler, row.guidance)
    if row.seed is not None:
        jobs = [replace(plain, seed=row.seed)]
    else:
        free = (seed for seed in range(10 * seeds) if (row.prompt, seed) not in lessons.seeds)
        jobs = [replace(plain, seed=seed) for seed, _ in zip(free, range(seeds), strict=False)]
    masks = generator.masks(row.prompt)
    drawn = [
        Drawn(
            job,
            pixels,
            ssimulacra2(reference, pixels),
            by_attribute(generator, reference, pixels, masks),
            psnr(reference, pixels),
            fingerprint(pixels, masks),
        )
        for job, pixels in finalists(generator, jobs, reference)
    ]
    return sorted(drawn, key=lambda one: _worth(one, lessons), reverse=True)


def _worth(one: Drawn, lessons: Lessons) -> float:
    colour = one.mean_delta_e / _DELTA_E_OF_A_POINT if lessons.colour else 0.0
    return one.ssimulacra2 - colour


def _lessons(desk: Desk, property: str, path: str, original: Original) -> Lessons:
    query = (
        select(CandidateRow)
        .join(AssetRow)
        .where(AssetRow.property == property, AssetRow.path == path)
        .where(CandidateRow.original == original.digest, CandidateRow.state == "rejected")
    )
    with desk.database.reading() as session:
        rejected = session.scalars(query).all()
    recipes = [recipe_of(one) for one in rejected]
    return Lessons(
        frozenset((recipe.prompt, recipe.seed) for recipe in recipes),
        any(one.reason.startswith(WRONG_COLOUR) for one in rejected),
    )


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
    row.seeds_tried, row.region_delta_e = seeds, drawn.delta_e
    if row.state in ("approved", "rejected"):
        return row
    short = least - drawn.ssimulacra2
    row.state, row.reason = ("short", f"{short:.1f} short") if short > 0 else ("proposed", "")
    row.algorithm, row.fingerprint = ALGORITHM, drawn.check
    row.ssimulacra2, row.psnr = drawn.ssimulacra2, drawn.psnr
    row.delta_e = drawn.mean_delta_e
    return row


def by_attribute(
    generator: Generator, reference: Pixels, picture: Pixels, masks: Pixels
) -> dict[str, float]:
    """Mean CIEDE2000 by the attribute whose mask it is inside; of the whole without masks."""
    vocabulary: Vocabulary | None = getattr(generator, "vocabulary", None)
    names = list(vocabulary.attributes) if vocabulary else []
    inside = delta_e_inside(reference, picture, masks)
    named = dict(zip(names, inside, strict=False)) if len(names) == len(inside) else {}
    found = {name: round(value, 3) for name, value in named.items() if value is not None}
    return found or {"whole picture": round(mean_delta_e(reference, picture, masks), 3)}
