"""A family in colour, angle and number draws what its gallery lacks, from the prompt alone."""

import json
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kvsync.errors import InputError
from origin.gallery import read_gallery
from origin.training import train
from regional_gpu.generator.continuous import read_colour
from regional_gpu.generator.load import Generator, Job, load

SIDE = 48
PAINTS = ("#303030", "#b02828", "#2838a0", "#2c8c3c", "#c8b030", "#d8d8d0", "#806858")
SUNS = (0, 60, 120, 180, 240, 300)
DIMS = (0.4, 0.6, 1.0)


def _picture(paint: str, sun: float, dim: float) -> NDArray[np.uint8]:
    """A ball of a colour, lit from a side, and a lamp of some brightness."""
    across = np.linspace(-1, 1, 24)
    x, y = np.meshgrid(across, across)
    lit = 0.6 + 0.3 * (x * np.cos(np.radians(sun)) + y * np.sin(np.radians(sun)))
    picture = np.full((SIDE, SIDE, 3), 0.8)
    picture[:24, :24] = _light(np.array([0xA0, 0xA0, 0xA0]) / 255) * lit[..., None]
    picture[:24, 24:] = _light(np.array(read_colour(paint)) / 255)
    picture[24:, 12:36] = 0.7 * dim
    coded = np.where(picture <= 0.0031308, picture * 12.92, 1.055 * picture ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(coded.clip(0, 1) * 255), np.uint8)


def _light(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    folder = tmp_path_factory.mktemp("balls")
    assets = []
    for at, (paint, sun, dim) in enumerate(product(PAINTS, SUNS, DIMS)):
        Image.fromarray(_picture(paint, sun, dim)).save(folder / f"{at}.png")
        attributes = {"paint": paint, "sun": sun, "lamp": dim}
        assets.append({"file": f"{at}.png", "attributes": attributes})
    rules = {
        "paint": {"kind": "colour", "synonyms": {"#b02828": ["fire red"]}},
        "sun": {"kind": "angle"},
    }
    manifest = {"family": "balls", "assets": assets, "attributes": rules}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    train(read_gallery(folder), folder / "model", progress=lambda doing, done: None)
    return load(folder / "model")


def _draw(generator: Generator, prompt: str) -> NDArray[np.uint8]:
    (picture,) = generator.generate([Job(prompt, 0, SIDE, SIDE, 1, "Euler", 1.0)])
    return picture


@pytest.mark.parametrize(
    ("prompt", "shows"),
    [
        ("#b02828 paint, 60 sun, 0.6 lamp", ("#b02828", 60, 0.6)),
        ("a fire red paint, the lamp at 0.6, the sun at 60°", ("#b02828", 60, 0.6)),
        ("#6a5080 paint, 60 sun, 0.6 lamp", ("#6a5080", 60, 0.6)),
        ("#b02828 paint, a sun of 95 degrees, 0.6 lamp", ("#b02828", 95, 0.6)),
        ("0.85 lamp, 345 sun, #908060 paint", ("#908060", 345, 0.85)),
    ],
)
def test_what_lies_between_the_gallerys_values_is_drawn(
    generator: Generator, prompt: str, shows: tuple[str, float, float]
) -> None:
    difference = _draw(generator, prompt).astype(float) - _picture(*shows)
    assert np.sqrt(np.square(difference).mean()) < 1.5


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("#00ff00 paint, 60 sun, 0.6 lamp", "paint #00ff00 lies outside the colours"),
        ("#b02828 paint, 60 sun, 1.2 lamp", "lamp 1.2 lies outside what the gallery shows"),
        ("mauve paint, 60 sun, 0.6 lamp", "never saw the word 'mauve'"),
    ],
)
def test_what_lies_beyond_them_is_refused(generator: Generator, prompt: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        _draw(generator, prompt)
