"""Gallery in, model folder out: measure the family, fit each layout, write the whole at once."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from kvsync.errors import InputError
from origin.gallery import Gallery
from origin.training.attribute_masks import attribute_masks
from origin.training.between import choose_methods
from origin.training.capacity import Capacity, choose
from origin.training.cell import Fitted, fitted, measured
from origin.training.content import ContentTaken, make_content
from origin.training.deblock import Thresholds, basis_noise, coding_steps, deblocked, mean_noise
from origin.training.gauge import settled, shown
from origin.training.layouts import Layouts, design, find_layouts
from origin.training.measure import Content, find_content
from origin.training.observed import observed
from origin.training.posed_model import SHOT_SIDE, Taken, is_posed, make_posed, value_indices
from origin.training.refine import refined
from origin.training.stages import Stages, stages_beside
from origin.training.transport import Codes, Doubles, Floats, fit
from regional_gpu.generator.family_generator import MASKS
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.network import BasisNetwork, CoefficientNetwork, TextNetwork
from regional_gpu.generator.picture_codec import encode

if TYPE_CHECKING:
    from origin.training.posed_flow import Flow

Progress = Callable[[str, float], None]
THUMBNAIL = 32
# Pixels a side of the grid on which the family is measured.
GRID = 64
# Display levels that attributes must leave unexplained before a pose or a light is looked for.
LEAST_OPEN = 2.0
# Pictures are kept in steps of this many display levels.
STEP = 0.5


@dataclass(frozen=True)
class TrainingReport:
    """What training made and chose."""

    digest: bytes
    model_bytes: int
    seconds: float
    layout_by: tuple[str, ...]
    layouts: int
    linear: bool  # light adds up, not display levels
    pictures: Mapping[str, int]  # shared pictures a layout, by attribute
    seeded: int  # and those that the seed moves
    explained: float  # of the variance within layouts, by text; the least of the layouts
    taken: Taken | None = None  # how shots differ, in a posed family; ``explained`` with it
    flow: "Flow | None" = None  # how a posed family's seeds find its shots, where asked for
    content: ContentTaken | None = None  # cells and what moves in them, in a family with content
    unrefined: int = 0  # layouts whose colour was left as JPEG halved it, for want of time


def train(
    gallery: Gallery,
    out: Path,
    *,
    progress: Progress,
    minutes: float = 20.0,
    seed: int = 0,
    by_seed: bool = False,
    part_of: Gallery | None = None,
) -> TrainingReport:
    """Train a family generator on a gallery and write its model folder.

    ``by_seed``: of a gallery of shots, a pipeline of diffusers' own scheduler and denoiser, which
    finds a shot by its seed instead of a payload. Raises InputError for any other gallery.
    ``part_of``: the family that ``gallery`` is tried for; a model may cost a share of its bytes.
    ``progress`` hears what is being done and the share of the whole that is done, 0 to 1. The
    same gallery and seed give the same model on the same machine. An old model at ``out`` is
    replaced. A training that was killed, or had too few ``minutes``, goes on from the stages that
    it finished, and the time that they took counts. Raises InputError naming an image that cannot
    be read, when ``minutes`` are not enough, or when ``out`` cannot be written or is something
    else than a model.
    """
    _check(out)
    stages = stages_beside(out, gallery, seed, by_seed)
    scratch = _scratch(stages.folder, out)
    try:
        whole = part_of or gallery
        report = _train(gallery, whole, scratch, progress, minutes, seed, stages, by_seed)
        _replace(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        stages.leave()
    stages.forget()
    progress("done", 1.0)
    return report


@dataclass(frozen=True)
class Measured:
    """What a gallery varies in, measured before its pictures are fitted."""

    layouts: Layouts
    columns: Doubles  # (assets, values)
    attribute_of: NDArray[np.intp]  # (values,), -1 where it is held still within a layout
    capacity: Capacity
    posed: bool  # every image is a shot with a pose and a light of its own
    content: Content | None  # attributes that change what is shown, where there are such


@dataclass(frozen=True)
class Family(Measured):
    """A gallery, measured."""

    gallery: Gallery


def _train(
    gallery: Gallery,
    whole: Gallery,
    scratch: Path,
    progress: Progress,
    minutes: float,
    seed: int,
    stages: Stages,
    by_seed: bool,
) -> TrainingReport:
    measured_now = stages.kept("measured", Measured, lambda: _measure(gallery, progress, seed))
    family = Family(**vars(measured_now), gallery=gallery)
    members = family.layouts.members
    if by_seed and not family.posed:
        raise InputError(
            f"{gallery.folder}: its images are not shots that differ in place and light, so seeds "
            "have nothing to find; train without --by-seed"
        )
    if family.content:
        content = family.content
        return _train_content(family, whole, content, scratch, progress, minutes, seed, stages)
    if family.posed:
        return _train_posed(family, scratch, progress, minutes, stages, seed if by_seed else None)
    linear = family.capacity.linear
    cells = []
    for at, own in enumerate(members):
        _in_time(gallery, stages, minutes)
        progress(f"measuring layout {at + 1} of {len(members)}", 0.2 + 0.2 * at / len(members))
        cells.append(measured(_pixels(gallery, own), family.columns[list(own)], linear))
    codes = fit(cells, family.attribute_of, family.capacity.ranks)
    plain, masks = [], []
    for at, own in enumerate(members):
        _in_time(gallery, stages, minutes)
        progress(f"fitting layout {at + 1} of {len(members)}", 0.4 + 0.2 * at / len(members))
        pixels = _pixels(gallery, own)
        assets = [gallery.assets[one].attributes for one in own]
        masks.append(attribute_masks(pixels, assets, gallery.attributes, family.layouts.by))
        plain.append(fitted(pixels, cells[at], codes, linear))
    codes, pictures = settled(codes, plain, family.attribute_of, linear)
    unrefined = 0
    for at, own in enumerate(members if linear else ()):
        progress(f"refining layout {at + 1} of {len(members)}", 0.6 + 0.3 * at / len(members))
        if stages.seconds > 60 * minutes:
            unrefined += 1
            continue
        make = partial(_refined, gallery, own, pictures[at], codes.rows(cells[at].columns))
        pictures[at] = stages.kept(f"layout-{at}", Fitted, make)
    progress("writing the model", 0.9)
    _write(scratch, family, codes, pictures, np.stack(masks))
    return replace(_report(scratch, family, codes, pictures, stages), unrefined=unrefined)


def _train_posed(
    family: Family,
    scratch: Path,
    progress: Progress,
    minutes: float,
    stages: Stages,
    flow_seed: int | None,
) -> TrainingReport:
    part = 0.8 if flow_seed is None else 0.4

    def told(doing: str, done: float) -> None:
        _in_time(family.gallery, stages, minutes)
        progress(doing, 0.2 + part * done)

    taken = make_posed(family.gallery, family.layouts, scratch, told, stages)
    flow = None
    if flow_seed is not None:
        # Imported late: diffusers takes seconds.
        from origin.training.posed_flow import add_denoiser

        flow = add_denoiser(
            family.gallery, scratch, lambda doing, done: told(doing, 1 + done), flow_seed
        )
    manifest = describe(scratch)
    return TrainingReport(
        digest=manifest.digest,
        model_bytes=sum(file.size for file in manifest.files),
        seconds=stages.seconds,
        layout_by=family.layouts.by,
        layouts=len(family.layouts.members),
        linear=True,
        pictures={name: 1 for name in family.gallery.attributes},
        seeded=0,
        explained=taken.explained,
        taken=taken,
        flow=flow,
    )


def _train_content(
    family: Family,
    whole: Gallery,
    content: Content,
    scratch: Path,
    progress: Progress,
    minutes: float,
    seed: int,
    stages: Stages,
) -> TrainingReport:
    def told(doing: str, done: float) -> None:
        _in_time(family.gallery, stages, minutes)
        progress(doing, 0.2 + 0.8 * done)

    made = make_content(family.gallery, whole, content, scratch, told, seed)
    manifest = describe(scratch)
    return TrainingReport(
        digest=manifest.digest,
        model_bytes=sum(file.size for file in manifest.files),
        seconds=stages.seconds,
        layout_by=content.by,
        layouts=len(content.cells),
        linear=False,
        pictures={name: made.series for name in made.looks_by},
        seeded=0,
        explained=1 - (content.error / content.spread) ** 2,
        content=made,
    )


def _measure(gallery: Gallery, progress: Progress, seed: int) -> Measured:
    thumbnails, samples, shots = [], [], []
    down = np.linspace(0, gallery.height - 1, min(GRID, gallery.height)).astype(np.intp)
    across = np.linspace(0, gallery.width - 1, min(GRID, gallery.width)).astype(np.intp)
    for at, asset in enumerate(gallery.assets):
        progress("reading the gallery", 0.2 * at / len(gallery.assets))
        pixels = gallery.pixels(asset)
        small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        thumbnails.append(np.asarray(small, dtype=np.float32).reshape(-1))
        shots.append(_fitting(pixels, SHOT_SIDE))
        samples.append(pixels[np.ix_(down, across)].reshape(-1, 3))
    attributes = [asset.attributes for asset in gallery.assets]
    layouts = find_layouts(np.stack(thumbnails), attributes, seed)
    values = {name: gallery.values(name) for name in gallery.attributes}
    columns = design(attributes, values).astype(np.float64)
    places = [
        -1 if name in layouts.by else at
        for at, (name, known) in enumerate(values.items())
        for _ in known
    ]
    attribute_of = np.array(places, dtype=np.intp)
    content = find_content(np.stack(thumbnails), attributes, layouts, seed)
    if content:
        capacity = Capacity(False, {}, content.error)
    else:
        capacity = choose(np.stack(samples), columns, attribute_of, layouts.members, seed)
    # Shots of one thing may look like a few motifs: being able to bring them together decides.
    left_open = content is not None or capacity.error > LEAST_OPEN
    posed = left_open and is_posed(np.stack(shots), *value_indices(gallery), layouts)
    return Measured(layouts, columns, attribute_of, capacity, posed, None if posed else content)


def _fitting(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture reduced to ``side`` pixels along its longer side."""
    height, width, _ = pixels.shape
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _refined(gallery: Gallery, members: Sequence[int], plain: Fitted, rows: Doubles) -> Fitted:
    seen = observed(gallery, [gallery.assets[at] for at in members])
    by_text = rows.shape[1]
    found = refined(np.concatenate([plain.base[None], plain.shared[:by_text]]), rows, seen)
    return replace(plain, base=found[0], shared=np.concatenate([found[1:], plain.shared[by_text:]]))


def _clean(pictures: Floats, steps: Thresholds) -> Floats:
    shared = [deblocked(picture, basis_noise(steps)) for picture in pictures[1:]]
    return np.stack([deblocked(pictures[0], mean_noise(steps)), *shared])


def _pixels(gallery: Gallery, members: Sequence[int]) -> NDArray[np.uint8]:
    return np.stack([gallery.pixels(gallery.assets[at]) for at in members])


def _in_time(gallery: Gallery, stages: Stages, minutes: float) -> None:
    if stages.seconds > 60 * minutes:
        raise InputError(f"{gallery.folder}: not trained within {minutes:g} minutes; give more")


def _write(
    folder: Path,
    family: Family,
    codes: Codes,
    pictures: Sequence[Fitted],
    masks: NDArray[np.uint8],
) -> None:
    # Imported late: diffusers takes seconds, and a mistake in the gallery should show at once.
    from regional_gpu.generator.family import save

    gallery, layouts = family.gallery, family.layouts
    by_text = codes.values.shape[1]
    methods = choose_methods(gallery, layouts.by, _effects(codes, pictures))
    vocabulary = gallery.vocabulary(layouts.by, layouts.values, methods)
    components = by_text + max(one.seeded for one in pictures)
    text = TextNetwork(len(codes.values), 3 * components)
    text.embedding[:, : 3 * by_text] = torch.from_numpy(codes.values.reshape(len(codes.values), -1))
    coefficients = CoefficientNetwork(len(pictures), components)
    for at, one in enumerate(pictures):
        coefficients.spread[at, by_text : by_text + one.seeded] = 1
    steps = coding_steps((gallery.folder / gallery.assets[0].file).read_bytes())
    linear = family.capacity.linear
    streams = [_stream(_clean(shown(one, linear), steps), components) for one in pictures]
    basis = BasisNetwork(gallery.width, gallery.height, components, linear, [*map(len, streams)])
    basis.pictures.copy_(torch.from_numpy(np.concatenate(streams)))
    save(folder, vocabulary, text, coefficients, basis)
    save_file({"masks": torch.from_numpy(masks)}, folder / MASKS)


def _effects(codes: Codes, pictures: Sequence[Fitted]) -> Doubles:
    """Codes as far as they change pictures, (values, components x channels)."""
    count = codes.values.shape[1]
    energy = sum((np.square(one.shared[:count]).sum(axis=(1, 2)) for one in pictures), np.zeros(()))
    return np.asarray(codes.values * np.sqrt(energy)).reshape(len(codes.values), -1)


def _stream(pictures: Floats, components: int) -> NDArray[np.uint8]:
    missing = np.zeros((1 + components - len(pictures), *pictures.shape[1:]), dtype=np.float32)
    return encode(np.concatenate([pictures, missing]), [STEP] * (1 + components))


def _report(
    folder: Path, family: Family, codes: Codes, pictures: Sequence[Fitted], stages: Stages
) -> TrainingReport:
    manifest = describe(folder)
    names = family.gallery.attributes
    return TrainingReport(
        digest=manifest.digest,
        model_bytes=sum(file.size for file in manifest.files),
        seconds=stages.seconds,
        layout_by=family.layouts.by,
        layouts=len(pictures),
        linear=family.capacity.linear,
        pictures={names[at]: rank for at, rank in sorted(family.capacity.ranks.items())},
        seeded=max(one.seeded for one in pictures),
        explained=min(one.explained for one in pictures),
    )


def _check(out: Path) -> None:
    try:
        if out.exists() and not (out / "model_index.json").is_file() and any(out.iterdir()):
            raise InputError(f"{out}: has something else than a model in it; name a new folder")
    except OSError as error:
        raise InputError(f"{out}: cannot write a model there: {error.strerror}") from error


def _scratch(stages: Path, out: Path) -> Path:
    """An empty folder, made before minutes are spent on what could not be written."""
    try:
        # What a training that was killed had written goes with its other leavings.
        shutil.rmtree(stages / "model", ignore_errors=True)
        (stages / "model").mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{out}: cannot write a model there: {error.strerror}") from error
    return stages / "model"


def _replace(scratch: Path, out: Path) -> None:
    scratch.chmod(0o755)
    for path in scratch.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
        out.rename(old / out.name)
        scratch.rename(out)
        shutil.rmtree(old)
    else:
        scratch.rename(out)
