"""Asset to candidate: try seeds, keep the best picture, measure it, propose it to a person.

The originals are read from the asset store itself, so that what is compared is what is served.
"""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import httpx2
import numpy as np
from sqlalchemy import select

from kvsync.errors import InputError, OriginUnavailable
from kvsync.key import AssetRequest
from kvsync.record import Original, PromptRecipe
from origin.catalogue import store_names
from origin.dam import AssetNotFound
from origin.database import Database
from origin.gallery import Asset, Gallery
from origin.inventory import describe_original, find_asset, note_asset
from origin.lessons import UNTAUGHT, Lessons, NothingLeft, Pixels, lessons_of
from origin.qa import find_or_add_candidate, was_judged_bad
from origin.site import Site
from origin.tables import CandidateRow, State
from origin.threads import one_thread_each
from origin.training.payload_fit import fitted_job
from regional_gpu.generator.colour import delta_e2000
from regional_gpu.generator.encode import decode
from regional_gpu.generator.fingerprint import ALGORITHM, fingerprint
from regional_gpu.generator.load import Generator, Job
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.score import psnr, ssimulacra2
from regional_gpu.generator.text import Vocabulary

# Of the seeds' pictures so many are scored by SSIMULACRA2, and times as many after a rejection:
# PSNR knows nothing of what was complained of.
FINALISTS = 3
TAUGHT = 3


@dataclass(frozen=True)
class Effort:
    """How hard to try: ``seeds`` per asset, and the SSIMULACRA2 below which none is proposed."""

    seeds: int = 8
    min_score: float = 80.0
    steps: int = 1
    sampler: str = "Euler"
    guidance: float = 1.0


@dataclass(frozen=True)
class Fitted:
    """What came of one asset; ``state`` is ``proposed`` or ``short``."""

    path: str
    state: State
    recipe: PromptRecipe
    check: bytes
    ssimulacra2: float
    delta_e: float
    psnr: float
    seeds_tried: int
    region_delta_e: Mapping[str, float] = field(default_factory=dict)

    def verdict(self, min_score: float) -> str:
        return "" if self.state == "proposed" else f"{min_score - self.ssimulacra2:.1f} short"


def dehydrate(
    site: Site,
    database: Database,
    gallery: Gallery,
    generator: Generator,
    effort: Effort,
    *,
    only: str = "*",
    resume: bool = True,
    origin_url: str | None = None,
) -> Iterator[Fitted | None]:
    """Fit every asset whose file matches ``only``; yields None for one that was done before.

    Several are fitted side by side, one a core. Each is written down as soon as it and those
    before it are done, so a run that was killed goes on where it was. With ``origin_url``, the
    headers that it sends must be the property's.
    Raises :class:`InputError` for an original that is missing, broken or served otherwise.
    """
    cores = os.cpu_count() or 1

    def started(pool: Executor, request: AssetRequest, asset: Asset) -> _Started | None:
        original, data = _open(site, request)
        if resume and _is_done(database, site, request, original, generator.digest, effort):
            return None
        if origin_url is not None:
            # From then on the origin names this family in its headers.
            with database.writing() as session:
                note_asset(session, site, request.path, gallery.family, asset.attributes, original)
            check_headers(site, gallery.family, request, origin_url)
        prompt = gallery.prompt(asset.attributes)
        reference = decode(data, request.path, gallery.background)
        lessons = lessons_of(database, site.id, request.path, original.digest)
        future = pool.submit(fit, generator, request.path, prompt, reference, effort, lessons)
        return _Started(asset, original, future)

    def finished(one: _Started | None) -> Fitted | None:
        if one is None:
            return None
        try:
            fitted = one.future.result()
        except NothingLeft:
            # A person's verdict on all that can be done here stands: as good as done.
            return None
        _write_down(database, site, gallery.family, one.asset, one.original, fitted, effort)
        return fitted

    waiting: deque[_Started | None] = deque()
    with one_thread_each(), ThreadPoolExecutor(cores) as pool:
        for request, asset in plan(site, gallery, only):
            waiting.append(started(pool, request, asset))
            # One more than cores lies ready; memory stays flat.
            if len(waiting) > cores + 1:
                yield finished(waiting.popleft())
        while waiting:
            yield finished(waiting.popleft())


@dataclass(frozen=True)
class _Started:
    asset: Asset
    original: Original
    future: Future[Fitted]


def _open(site: Site, request: AssetRequest) -> tuple[Original, bytes]:
    try:
        info, data = site.dam.open(site.name_of(request))
    except AssetNotFound as error:
        raise InputError(
            f"{request.path}: in the gallery's manifest but not in the asset store; "
            "check ORIGIN_DAM"
        ) from error
    return describe_original(info, data), data


def plan(site: Site, gallery: Gallery, only: str = "*") -> list[tuple[AssetRequest, Asset]]:
    """The gallery's assets whose name matches ``only``, with their requests."""
    names = store_names([asset.file for asset in gallery.assets], gallery.below)
    work = [
        (site.request(name), asset)
        for name, asset in zip(names, gallery.assets, strict=True)
        if fnmatchcase(name, only)
    ]
    if not work:
        raise InputError(f"{gallery.folder}: no asset's name matches {only!r}")
    return work


def fit(
    generator: Generator,
    path: str,
    prompt: str,
    reference: Pixels,
    effort: Effort,
    lessons: Lessons = UNTAUGHT,
) -> Fitted:
    """The recipe whose picture is nearest to ``reference``, (height, width, 3) sRGB.

    Raises :class:`origin.lessons.NothingLeft` when all that the model draws was rejected, or the
    original was.
    """
    lessons.demand_right_original()
    height, width, _ = reference.shape
    jobs = [
        Job(prompt, seed, width, height, effort.steps, effort.sampler, effort.guidance)
        for seed in lessons.fresh_seeds(prompt, effort.seeds)
    ]
    best = measured(generator, jobs, reference, lessons)[0]
    return Fitted(
        path=path,
        state="proposed" if best.ssimulacra2 >= effort.min_score else "short",
        recipe=best.job.recipe(generator.digest),
        check=best.check,
        ssimulacra2=best.ssimulacra2,
        delta_e=best.mean_delta_e,
        psnr=best.psnr,
        seeds_tried=effort.seeds,
        region_delta_e=best.delta_e,
    )


@dataclass(frozen=True)
class Drawn:
    """One seed's picture, measured; ``delta_e`` is by attribute."""

    job: Job
    pixels: Pixels
    ssimulacra2: float
    delta_e: Mapping[str, float]
    psnr: float
    check: bytes

    @property
    def mean_delta_e(self) -> float:
        return float(np.mean(list(self.delta_e.values())))


def measured(
    generator: Generator, jobs: Sequence[Job], reference: Pixels, lessons: Lessons = UNTAUGHT
) -> list[Drawn]:
    """The best of some jobs with one prompt, best first, by the score and by what was complained of
    before. Raises :class:`origin.lessons.NothingLeft` when all of them were rejected."""
    masks = generator.masks(jobs[0].prompt)
    most = FINALISTS * (TAUGHT if lessons.reasons else 1)
    drawn = [
        Drawn(
            job,
            pixels,
            ssimulacra2(reference, pixels),
            delta_e_by_attribute(generator, reference, pixels, masks),
            psnr(reference, pixels),
            fingerprint(pixels, masks),
        )
        for job, pixels in finalists(generator, jobs, reference, most)
    ]
    fresh = [one for one in drawn if one.check not in lessons.pictures]
    lessons.demand_some(len(fresh))

    def worth(one: Drawn) -> float:
        worst = max(one.delta_e.values())
        return one.ssimulacra2 - lessons.penalty(reference, one.pixels, worst)

    return sorted(fresh, key=worth, reverse=True)


def finalists(
    generator: Generator, jobs: Sequence[Job], reference: Pixels, most: int = FINALISTS
) -> list[tuple[Job, Pixels]]:
    """The jobs with the best pictures by PSNR, which is a hundred times cheaper than the score.

    A model of shots is asked how this one was taken, which no seed would hit upon. When the first
    two seeds of another give the same picture, the model does not listen to the seed here and the
    others are not tried.
    """
    if isinstance(generator, PosedGenerator):
        fitted = fitted_job(generator, replace(jobs[0], seed=0), reference)
        return [(fitted, generator.generate([fitted])[0])]
    pictures = list(generator.generate(jobs[:2]))
    if len(pictures) == 2 and np.array_equal(pictures[0], pictures[1]):
        return [(jobs[0], pictures[0])]
    pictures += generator.generate(jobs[2:])
    drawn = list(zip(jobs, pictures, strict=True))
    return sorted(drawn, key=lambda one: psnr(reference, one[1]), reverse=True)[:most]


def mean_delta_e(reference: Pixels, picture: Pixels, masks: Pixels) -> float:
    """Mean CIEDE2000 over each of (attributes, 96, 96) ``masks``, then over the attributes."""
    inside = [found for found in delta_e_inside(reference, picture, masks) if found is not None]
    return float(np.mean(inside)) if inside else delta_e2000(reference, picture)


def delta_e_by_attribute(
    generator: Generator, reference: Pixels, picture: Pixels, masks: Pixels
) -> dict[str, float]:
    """Mean CIEDE2000 by the attribute whose mask it is inside; of the whole without masks."""
    vocabulary: Vocabulary | None = getattr(generator, "vocabulary", None)
    names = list(vocabulary.attributes) if vocabulary else []
    inside = delta_e_inside(reference, picture, masks)
    named = dict(zip(names, inside, strict=False)) if len(names) == len(inside) else {}
    found = {name: round(value, 3) for name, value in named.items() if value is not None}
    return found or {"whole picture": round(mean_delta_e(reference, picture, masks), 3)}


def delta_e_inside(reference: Pixels, picture: Pixels, masks: Pixels) -> list[float | None]:
    """Mean CIEDE2000 inside each of (attributes, 96, 96) ``masks``; None for an empty one."""
    height, width, _ = reference.shape
    _, tall, wide = masks.shape
    rows, columns = np.arange(height) * tall // height, np.arange(width) * wide // width
    regions = [mask[np.ix_(rows, columns)] > 127 for mask in masks]
    return [delta_e2000(reference, picture, region) if region.any() else None for region in regions]


def check_headers(site: Site, family: str, request: AssetRequest, origin_url: str) -> None:
    """The origin sends for this asset just what a region will: the property's template.

    Raises :class:`InputError` naming the header that differs.
    """
    try:
        answer = httpx2.head(origin_url.rstrip("/") + request.path, timeout=10)
    except httpx2.HTTPError as error:
        raise OriginUnavailable(f"{origin_url}: cannot ask for headers: {error}") from error
    if answer.status_code != 200:
        raise InputError(f"{origin_url}{request.path}: answers {answer.status_code}, not 200")
    for name, expected in site.rules.image_headers(family, request.key.hex()).items():
        sent = answer.headers.get(name)
        if sent != expected:
            raise InputError(
                f"{request.path}: the origin sends {name}: {sent}, a region would send "
                f"{expected}; change one of them"
            )


def _is_done(
    database: Database,
    site: Site,
    request: AssetRequest,
    original: Original,
    model: bytes,
    effort: Effort,
) -> bool:
    """Whether this model was tried on this original with as many seeds, and the verdict stands: a
    rejection asks for another."""
    with database.reading() as session:
        asset = find_asset(session, site.id, request.key)
        if asset is None:
            return False
        query = select(CandidateRow).where(
            CandidateRow.asset_id == asset.id,
            CandidateRow.original == original.digest,
            CandidateRow.model == model,
        )
        found = session.scalars(query).all()
    return any(
        # An approval brought in from elsewhere counts, however it was found.
        (one.seeds_tried >= effort.seeds or one.state == "approved")
        and not was_judged_bad(one)
        and (one.state != "short" or one.ssimulacra2 < effort.min_score)
        for one in found
    )


def _write_down(
    database: Database,
    site: Site,
    family: str,
    asset: Asset,
    original: Original,
    fitted: Fitted,
    effort: Effort,
) -> None:
    with database.writing() as session:
        row = note_asset(session, site, fitted.path, family, asset.attributes, original)
        candidate = find_or_add_candidate(session, row.id, original.digest, fitted.recipe)
        candidate.seeds_tried = fitted.seeds_tried
        if candidate.state in ("approved", "rejected"):
            return
        candidate.state, candidate.reason = fitted.state, fitted.verdict(effort.min_score)
        candidate.algorithm, candidate.fingerprint = ALGORITHM, fitted.check
        candidate.ssimulacra2, candidate.delta_e = fitted.ssimulacra2, fitted.delta_e
        candidate.psnr, candidate.region_delta_e = fitted.psnr, dict(fitted.region_delta_e)
