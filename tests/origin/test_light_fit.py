"""The fit of light: codes and pictures from inner products, through what JPEG does to colour."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from origin.gallery import Gallery, read_gallery
from origin.training.capacity import choose
from origin.training.cell import Fitted, fitted, measured
from origin.training.gauge import settled, shown
from origin.training.observed import observed
from origin.training.refine import refined
from origin.training.transport import Codes, fit
from regional_gpu.generator.colour import ciede2000, lab
from regional_gpu.generator.light import display, light

SIDE = 32
LACES = np.array([[0.8, 0.05, 0.05], [0.05, 0.1, 0.7], [0.02, 0.02, 0.02], [0.9, 0.9, 0.9]])
SOLES = np.array([[0.1, 0.5, 0.1], [0.9, 0.8, 0.2], [0.05, 0.05, 0.06], [0.7, 0.2, 0.5]])
ATTRIBUTE_OF = np.repeat([0, 1], len(LACES)).astype(np.intp)


def _scene() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Base, thin laces, and a sole: light per unit of reflectance."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    base = np.full((SIDE, SIDE, 3), 0.02, dtype=np.float32) * (1 + rows[..., None] / SIDE)
    lace = np.where((rows < 16) & (columns % 7 < 3), 0.5 + columns / 64, 0)
    sole = np.where(rows >= 18, 0.6, 0.0)
    grey = np.ones(3, dtype=np.float32)
    return (
        base,
        (lace[..., None] * grey).astype(np.float32),
        (sole[..., None] * grey).astype(np.float32),
    )


def _pixels(lace: int, sole: int) -> NDArray[np.uint8]:
    base, thin, wide = _scene()
    summed = (base + thin * LACES[lace] + wide * SOLES[sole]).astype(np.float32)
    return np.rint(display(summed)).clip(0, 255).astype(np.uint8)


PAIRS = [(lace, sole) for lace in range(4) for sole in range(4)]
COLUMNS = np.array([[*np.eye(4)[lace], *np.eye(4)[sole]] for lace, sole in PAIRS], dtype=np.float64)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    folder = tmp_path_factory.mktemp("laces")
    assets = []
    for lace, sole in PAIRS:
        file = f"{lace}-{sole}.jpg"
        Image.fromarray(_pixels(lace, sole)).save(folder / file, quality=92, subsampling="4:2:0")
        attributes = {"lace": f"l{lace}", "sole": f"s{sole}"}
        assets.append({"file": file, "attributes": attributes})
    (folder / "manifest.json").write_text(json.dumps({"family": "laces", "assets": assets}))
    return read_gallery(folder)


def _fitted(pixels: NDArray[np.uint8]) -> tuple[Codes, Fitted]:
    cell = measured(pixels, COLUMNS, linear=True)
    codes = fit([cell], ATTRIBUTE_OF, {0: 1, 1: 1})
    codes, (one,) = settled(codes, [fitted(pixels, cell, codes, True)], ATTRIBUTE_OF, True)
    return codes, one


def _drawn(pictures: NDArray[np.float32], codes: NDArray[np.float64]) -> NDArray[np.uint8]:
    summed = pictures[0] + np.einsum("kc,kyxc->yxc", codes, pictures[1:])
    return np.rint(display(summed.astype(np.float32))).clip(0, 255).astype(np.uint8)


def test_one_picture_an_attribute_draws_every_combination() -> None:
    pixels = np.stack([_pixels(*pair) for pair in PAIRS])
    codes, one = _fitted(pixels)
    pictures = np.concatenate([one.base[None], one.shared])
    for row, wanted in zip(codes.rows(COLUMNS), pixels, strict=True):
        assert np.abs(_drawn(pictures, row).astype(int) - wanted).max() <= 2


def test_the_base_is_the_darkest_and_codes_go_from_0_to_2() -> None:
    codes, one = _fitted(np.stack([_pixels(*pair) for pair in PAIRS]))
    own = codes.values[:4, 0], codes.values[4:, 1]
    for values in own:
        assert np.allclose(values.min(axis=0), 0) and np.allclose(values.max(axis=0), 2)
    assert one.shared.mean() > 0


def test_pictures_in_display_levels_add_up_to_the_same_light() -> None:
    _, one = _fitted(np.stack([_pixels(*pair) for pair in PAIRS]))
    sums = light(np.cumsum(shown(one, True), axis=0))
    assert np.allclose(sums[0], one.base, atol=1e-5)
    assert np.allclose(np.diff(sums, axis=0), one.shared, atol=1e-5)


def test_light_is_told_from_levels_by_what_is_left_out() -> None:
    samples = np.stack([_pixels(*pair) for pair in PAIRS]).reshape(len(PAIRS), -1, 3)
    members = [tuple(range(len(PAIRS)))]
    assert choose(samples, COLUMNS, ATTRIBUTE_OF, members, 0).linear
    levels = (
        40
        + 60 * (COLUMNS @ np.linspace(0, 1.5, 8))[:, None, None] * np.linspace(0, 1, 500)[:, None]
    )
    plain = np.rint(np.repeat(levels, 3, axis=2)).clip(0, 255).astype(np.uint8)
    assert not choose(plain, COLUMNS, ATTRIBUTE_OF, members, 0).linear


def test_colour_samples_are_read_as_they_were_stored(gallery: Gallery) -> None:
    seen = observed(gallery, gallery.assets)
    luma, chroma = seen.rows(20, 32)
    assert seen.side == 2 and luma.shape == (16, 12, 32) and chroma.shape == (16, 6, 16, 2)
    with Image.open(gallery.folder / gallery.assets[0].file) as image:
        whole = np.asarray(image.convert("YCbCr"), dtype=np.float32)[20:]
    assert np.abs(luma[0] - whole[..., 0]).mean() < 0.6
    assert np.abs(chroma[0] - (whole[::2, ::2, 1:] - 128)).mean() < 1


def test_files_with_whole_colour_are_read_as_pixels(tmp_path: Path, gallery: Gallery) -> None:
    for asset in gallery.assets:
        picture = Image.fromarray(gallery.pixels(asset))
        picture.save(tmp_path / asset.file, quality=92, subsampling="4:4:4")
    manifest = (gallery.folder / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(manifest)
    other = read_gallery(tmp_path)
    seen = observed(other, other.assets)
    luma, chroma = seen.rows(0, 8)
    assert seen.side == 1 and chroma.shape == (*luma.shape, 2)


def test_thin_laces_get_their_colour_back(gallery: Gallery) -> None:
    pixels = np.stack([gallery.pixels(asset) for asset in gallery.assets])
    codes, one = _fitted(pixels)
    plain = np.concatenate([one.base[None], one.shared])
    rows = codes.rows(COLUMNS)
    fine = refined(plain, rows, observed(gallery, gallery.assets))

    def away(pictures: NDArray[np.float32]) -> float:
        errors = []
        for pair, row in zip(PAIRS, rows, strict=True):
            wanted = lab(_pixels(*pair)[:16])
            errors.append(ciede2000(lab(_drawn(pictures, row)[:16]), wanted).mean())
        return float(np.mean(errors))

    jpeg = float(
        np.mean(
            [
                ciede2000(lab(own[:16]), lab(_pixels(*pair)[:16])).mean()
                for own, pair in zip(pixels, PAIRS, strict=True)
            ]
        )
    )
    assert away(fine) < 0.6 * away(plain) and away(fine) < 0.7 * jpeg


def test_a_picture_whose_weight_varies_is_what_a_seed_moves() -> None:
    random = np.random.default_rng(0)
    pose = random.normal(size=(16, 1, 1, 1)) * random.normal(size=(1, SIDE, SIDE, 1)) * 12
    pixels = (np.full((16, SIDE, SIDE, 3), 128.0) + pose).clip(0, 255).astype(np.uint8)
    cell = measured(pixels, COLUMNS, linear=False)
    one = fitted(pixels, cell, fit([cell], ATTRIBUTE_OF, {}), False)
    assert one.seeded == 1
    assert 0.5 < np.abs(one.shared[0]).mean() / np.abs(pose).mean(axis=0).mean() < 2


def test_noise_moves_no_seed() -> None:
    noise = np.random.default_rng(0).normal(scale=2, size=(16, SIDE, SIDE, 3))
    pixels = np.rint(128 + noise).astype(np.uint8)
    cell = measured(pixels, COLUMNS, linear=False)
    assert fitted(pixels, cell, fit([cell], ATTRIBUTE_OF, {}), False).seeded == 0
