"""A family so small that it is trained in a second: cars in paint and seats."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 96
PAINTS = {"red": (200, 30, 40), "teal": (10, 130, 140), "sand": (210, 190, 150)}
SEATS = {"black": (25, 25, 25), "cream": (240, 230, 205), "plum": (110, 40, 100)}
KEPT_ASIDE = ("teal", "plum")
WITH_MASTER = ("red", "black")


@pytest.fixture(scope="session")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of JPEGs with one lossless master; one combination is missing."""
    folder = tmp_path_factory.mktemp("cars")
    pairs = [pair for pair in product(PAINTS, SEATS) if pair != KEPT_ASIDE]
    write_gallery(folder, pairs, "jpg")
    (folder / "masters").mkdir()
    _car(*WITH_MASTER).save(folder / "masters" / f"{'-'.join(WITH_MASTER)}.png")
    return folder


@pytest.fixture(scope="session")
def other_cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The missing combination, and one that the gallery has."""
    folder = tmp_path_factory.mktemp("other-cars")
    write_gallery(folder, [KEPT_ASIDE, WITH_MASTER], "png")
    return folder


def write_gallery(folder: Path, pairs: list[tuple[str, str]], suffix: str) -> None:
    assets = []
    for paint, seat in pairs:
        file = f"{paint}-{seat}.{suffix}"
        _car(paint, seat).save(folder / file, quality=92, subsampling=0)
        assets.append({"file": file, "attributes": {"paint": paint, "seat": seat}})
    (folder / "manifest.json").write_text(json.dumps({"family": "cars", "assets": assets}))


def _car(paint: str, seat: str) -> Image.Image:
    picture = np.full((SIDE, SIDE, 3), 245, np.uint8)
    shade = np.linspace(0.7, 1.0, 40)[:, None, None]
    picture[8:48, 8:88] = np.rint(shade * np.array(PAINTS[paint]))
    picture[48:88, 24:72] = np.rint(shade * np.array(SEATS[seat]))
    return Image.fromarray(picture)
