"""Gallery in, model folder out: measure the family, fit each layout, write the whole at once."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from kvsync.errors import InputError
from origin.gallery import Gallery
from origin.training.attribute_masks import attribute_masks
from origin.training.deblock import basis_noise, coding_steps, deblocked, mean_noise
from origin.training.factors import Factors, factorise
from origin.training.layouts import Layouts, design, find_layouts
from origin.training.quantise import Plane, quantised
from regional_gpu.generator.family_generator import MASKS
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.network import TILE, BasisNetwork, CoefficientNetwork, TextNetwork
from regional_gpu.generator.planes import pack
from regional_gpu.generator.text import FILLERS, WORD, Vocabulary

Progress = Callable[[str, float], None]
THUMBNAIL = 32
# A tile whose pixels all vary less than this (8-bit levels, standard deviation) is held still.
STILL = 0.25
# Shared pictures are kept in steps that change no picture of the gallery by more levels than
# this; means, where something is laid over them, in steps of this.
STEP = 0.3
MEAN_STEP = 0.5


@dataclass(frozen=True)
class TrainingReport:
    """What training made and chose."""

    digest: bytes
    model_bytes: int
    seconds: float
    layout_by: tuple[str, ...]
    layouts: int
    components: int  # shared pictures per layout, at most
    seeded: int  # of these, moved by the seed
    explained: float  # of the variance within layouts, by text; the least of the layouts


@dataclass(frozen=True)
class FittedLayout:
    factors: Factors
    planes: list[list[Plane]]  # the mean's, then each shared picture's
    tiles: NDArray[np.bool_]  # (rows, columns), True where pictures differ
    masks: NDArray[np.uint8]  # (attributes, 96, 96)


def train(
    gallery: Gallery,
    out: Path,
    *,
    progress: Progress,
    minutes: float = 5.0,
    seed: int = 0,
) -> TrainingReport:
    """Train a family generator on a gallery and write its model folder.

    ``progress`` hears what is being done and the share of the whole that is done, 0 to 1. The
    same gallery and seed give the same model on the same machine. An old model at ``out`` is
    replaced. Raises InputError naming an image that cannot be read, when ``minutes`` are not
    enough, or when ``out`` cannot be written or is something else than a model.
    """
    started = time.monotonic()
    scratch = _scratch(out)
    try:
        report = _train(gallery, scratch, progress, minutes, seed, started)
        _replace(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    progress("done", 1.0)
    return report


def _train(
    gallery: Gallery, scratch: Path, progress: Progress, minutes: float, seed: int, started: float
) -> TrainingReport:
    thumbnails = _thumbnails(gallery, progress)
    attributes = [asset.attributes for asset in gallery.assets]
    layouts = find_layouts(thumbnails, attributes, seed)
    fitted = []
    for at, members in enumerate(layouts.members):
        if time.monotonic() - started > 60 * minutes:
            raise InputError(f"{gallery.folder}: not trained within {minutes:g} minutes; give more")
        progress(
            f"fitting layout {at + 1} of {len(layouts.members)}",
            0.3 + 0.6 * at / len(layouts.members),
        )
        fitted.append(_fit(gallery, members, layouts.by))
    progress("writing the model", 0.9)
    _write(scratch, gallery, layouts, fitted)
    return _report(scratch, layouts, fitted, started)


def _thumbnails(gallery: Gallery, progress: Progress) -> NDArray[np.float32]:
    small = []
    for at, asset in enumerate(gallery.assets):
        progress("reading the gallery", 0.3 * at / len(gallery.assets))
        image = Image.fromarray(gallery.pixels(asset))
        reduced = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        small.append(np.asarray(reduced, dtype=np.float32).reshape(-1))
    return np.stack(small)


def _fit(gallery: Gallery, members: Sequence[int], layout_by: tuple[str, ...]) -> FittedLayout:
    assets = [gallery.assets[at] for at in members]
    attributes = [asset.attributes for asset in assets]
    pictures = np.stack([gallery.pixels(asset) for asset in assets])
    masks = attribute_masks(pictures, attributes, gallery.attributes, layout_by)
    values = {name: gallery.values(name) for name in gallery.attributes}
    columns = design(attributes, values)
    inside = _pixels_of(_varying_tiles(pictures), gallery.height, gallery.width)
    elements = pictures[:, inside].reshape(len(assets), -1).astype(np.float32)
    factors = factorise(elements, columns)
    steps = coding_steps((gallery.folder / assets[0].file).read_bytes())
    shared = []
    reach = np.abs(factors.offset + columns @ factors.effects).max(axis=0) + 3 * factors.spread
    varies = np.zeros((gallery.height, gallery.width), dtype=np.bool_)
    for basis, weight in zip(factors.basis, reach, strict=True):
        picture = np.zeros((gallery.height, gallery.width, 3), dtype=np.float32)
        picture[inside] = basis.reshape(-1, 3)
        own = quantised(deblocked(picture, basis_noise(steps)), STEP / max(weight, 1.0))
        for plane in own:
            varies |= np.asarray((plane.pixels != 128).any(axis=-1))
        shared.append(own)
    tiles = _tiles_of(varies)
    mean = deblocked(pictures.mean(axis=0, dtype=np.float32), mean_noise(steps))
    laid_over = _pixels_of(tiles, gallery.height, gallery.width)
    return FittedLayout(factors, [_mean_planes(mean, laid_over), *shared], tiles, masks)


def _mean_planes(mean: NDArray[np.float32], laid_over: NDArray[np.bool_]) -> list[Plane]:
    whole = np.rint(mean.clip(0, 255)).astype(np.uint8)
    # Rounding before something is added and again after it costs 0.4 of SSIMULACRA2.
    left = np.where(laid_over[..., None], mean - whole, 0).astype(np.float32)
    return [Plane(whole, 1.0), *quantised(left, MEAN_STEP)]


def _tiles_of(varies: NDArray[np.bool_]) -> NDArray[np.bool_]:
    height, width = varies.shape
    padded = np.pad(varies, ((0, -height % TILE), (0, -width % TILE)))
    rows, columns = padded.shape
    by_tile = padded.reshape(rows // TILE, TILE, columns // TILE, TILE)
    return np.asarray(by_tile.any(axis=(1, 3)), dtype=np.bool_)


def _varying_tiles(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    varies = np.zeros(pictures.shape[1:3], dtype=np.bool_)
    for top in range(0, len(varies), TILE):
        strip = pictures[:, top : top + TILE].astype(np.float32)
        varies[top : top + TILE] = strip.std(axis=0).max(axis=-1) > STILL
    return _tiles_of(varies)


def _pixels_of(tiles: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    return np.repeat(np.repeat(tiles, TILE, axis=0), TILE, axis=1)[:height, :width]


def _write(
    folder: Path, gallery: Gallery, layouts: Layouts, fitted: Sequence[FittedLayout]
) -> None:
    # Imported late: diffusers takes seconds, and a mistake in the gallery should show at once.
    from regional_gpu.generator.family import save

    components = max(len(layout.factors.basis) for layout in fitted)
    values = {name: gallery.values(name) for name in gallery.attributes}
    words = set(WORD.findall(gallery.phrase.format(value="", name="").casefold()))
    vocabulary = Vocabulary(values, frozenset(words - FILLERS), layouts.by, layouts.values)
    text, coefficients = _text_networks(fitted, components)
    save(folder, vocabulary, text, coefficients, _basis(gallery, fitted, components))
    masks = np.stack([layout.masks for layout in fitted])
    save_file({"masks": torch.from_numpy(masks)}, folder / MASKS)


def _text_networks(
    fitted: Sequence[FittedLayout], components: int
) -> tuple[TextNetwork, CoefficientNetwork]:
    """Split the effects of all layouts into one embedding per value and one map per layout."""
    effects = [
        np.pad(one.factors.effects, ((0, 0), (0, components - one.factors.effects.shape[1])))
        for one in fitted
    ]
    left, scale, right = np.linalg.svd(np.concatenate(effects, axis=1), full_matrices=False)
    width = max(1, int((scale > 1e-5 * max(scale[0], 1e-9)).sum()))
    text = TextNetwork(len(left), width)
    text.embedding.copy_(torch.from_numpy(left[:, :width] * scale[:width]))
    network = CoefficientNetwork(len(fitted), width, components)
    maps = right[:width].reshape(width, len(fitted), components).transpose(1, 0, 2)
    network.weight.copy_(torch.from_numpy(maps.copy()))
    for at, one in enumerate(fitted):
        own = len(one.factors.offset)
        network.bias[at, :own] = torch.from_numpy(one.factors.offset)
        network.spread[at, range(own), range(own)] = torch.from_numpy(one.factors.spread)
    return text, network


def _basis(gallery: Gallery, fitted: Sequence[FittedLayout], components: int) -> BasisNetwork:
    streams = []
    for one in fitted:
        missing: list[list[Plane]] = [[]] * (1 + components - len(one.planes))
        streams.append([[pack(plane.pixels) for plane in own] for own in one.planes + missing])
    sizes = [[[stream.size for stream in own] for own in layout] for layout in streams]
    network = BasisNetwork(gallery.width, gallery.height, components, sizes)
    packed = [stream for layout in streams for own in layout for stream in own]
    scales = [plane.scale for one in fitted for own in one.planes for plane in own]
    network.planes.copy_(torch.from_numpy(np.concatenate(packed)))
    network.tiles.copy_(torch.from_numpy(np.stack([one.tiles for one in fitted])))
    network.scale.copy_(torch.tensor(scales))
    return network


def _report(
    folder: Path, layouts: Layouts, fitted: Sequence[FittedLayout], started: float
) -> TrainingReport:
    manifest = describe(folder)
    return TrainingReport(
        digest=manifest.digest,
        model_bytes=sum(file.size for file in manifest.files),
        seconds=time.monotonic() - started,
        layout_by=layouts.by,
        layouts=len(fitted),
        components=max(len(one.factors.basis) for one in fitted),
        seeded=max(int((one.factors.spread > 0).sum()) for one in fitted),
        explained=min(one.factors.explained for one in fitted),
    )


def _scratch(out: Path) -> Path:
    """A folder beside ``out``, made before minutes are spent on what could not be written."""
    try:
        if out.exists() and not (out / "model_index.json").is_file() and any(out.iterdir()):
            raise InputError(f"{out}: has something else than a model in it; name a new folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out}: cannot write a model there: {error.strerror}") from error


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
