"""`bench quality` judges any family by the rules: references, regions, figures."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import quality
from bench._references import Subject, is_lossless, sample, subjects, unseen_subjects
from bench._regions import Regions, regions
from deploy.cli import app
from kvsync.errors import InputError
from origin.gallery import Asset, read_gallery

KEYS = [
    "ssimulacra2_median",
    "ssimulacra2_min",
    "unseen_median",
    "model_bytes",
    "record_bytes_max",
    "train_minutes",
    "colour_delta_e_median",
    "colour_delta_e_worst",
    "delivered_median",
]


@pytest.fixture(scope="module")
def model(cars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "cars"
    quality.trained(cars, out, minutes=1)
    return out


@pytest.mark.slow
def test_a_family_is_trained_and_judged_by_one_command(cars: Path, other_cars: Path) -> None:
    arguments = ["bench", "quality", "--json", "--gallery", str(cars), "--masters", str(cars)]
    answer = CliRunner().invoke(app, [*arguments, "--unseen", str(other_cars)])
    figures = json.loads(answer.stdout.splitlines()[-1])
    assert list(figures) == KEYS
    assert all(isinstance(figure, int | float) for figure in figures.values())
    assert figures["ssimulacra2_min"] > 60 and figures["unseen_median"] > 60
    assert figures["colour_delta_e_worst"] < 5
    assert 0 < figures["record_bytes_max"] <= 512


def test_what_was_not_measured_is_null_never_nought(cars: Path, model: Path) -> None:
    figures = quality.run(gallery=cars, model=model)
    assert list(figures) == KEYS
    assert [key for key in KEYS if figures[key] is None] == ["unseen_median", "train_minutes"]
    assert list(quality.summary([], [], quality.opened(model)).values()).count(None) == 8


def test_an_option_that_no_bench_has_is_an_error() -> None:
    answer = CliRunner().invoke(app, ["bench", "quality", "--galery", "x"])
    assert answer.exit_code == 2 and "--galery" in answer.stderr


def test_training_opens_no_master(cars: Path, tmp_path: Path, opened_files: list[str]) -> None:
    quality.trained(cars, tmp_path / "model", minutes=1)
    read = [Path(name) for name in opened_files if name.startswith(str(cars))]
    assert read and not [path for path in read if "masters" in path.parts]


def test_a_master_is_the_reference_where_there_is_one(cars: Path) -> None:
    found = {one.asset.file: one for one in subjects(read_gallery(cars))}
    assert found["red-black.jpg"].reference.file == str(cars / "masters" / "red-black.png")
    assert found["red-plum.jpg"].reference.file == "red-plum.jpg"
    assert [name for name, one in found.items() if one.has_master] == ["red-black.jpg"]


@pytest.mark.parametrize("folder", [".", "masters"])
def test_with_masters_only_images_that_have_one_are_scored(cars: Path, folder: str) -> None:
    (only,) = subjects(read_gallery(cars), cars / folder)
    assert only.asset.file == "red-black.jpg" and only.has_master


def test_masters_of_another_family_are_refused(cars: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the stem of a gallery file"):
        subjects(read_gallery(cars), tmp_path)


def test_a_lossy_webp_is_no_master(tmp_path: Path) -> None:
    image = Image.effect_noise((32, 32), 40)
    image.save(tmp_path / "lossy.webp", quality=100)
    image.save(tmp_path / "lossless.webp", lossless=True)
    image.save(tmp_path / "described.webp", lossless=True, xmp=b"<x/>")
    assert [is_lossless(path) for path in sorted(tmp_path.iterdir())] == [True, True, False]


def test_only_combinations_that_the_gallery_lacks_are_unseen(cars: Path, other_cars: Path) -> None:
    (only,) = unseen_subjects(read_gallery(other_cars), read_gallery(cars))
    assert only.asset.attributes == {"paint": "teal", "seat": "plum"}
    with pytest.raises(InputError, match="has every combination"):
        unseen_subjects(read_gallery(cars), read_gallery(cars))


def test_the_sample_is_the_same_every_time() -> None:
    assets = [Asset(f"{at}.jpg", {"at": str(at)}, 1) for at in range(100)]
    everything = [Subject(asset, asset, False) for asset in assets]
    drawn = sample(everything, everything=False)
    assert len(drawn) == 24 and drawn == sample(everything, everything=False)
    assert drawn == sorted(drawn, key=everything.index)
    assert sample(everything, everything=True) == everything


def test_an_attributes_region_is_found_from_the_gallery(cars: Path) -> None:
    found = Regions(read_gallery(cars)).of({"paint": "red", "seat": "black"})
    body = np.zeros((96, 96), np.bool_)
    body[8:48, 8:88] = True
    assert (found["paint"] != body).mean() < 0.03
    assert not (found["paint"] & found["seat"]).any()


def test_where_two_attributes_show_alike_neither_has_a_region() -> None:
    black, white = np.zeros((4, 4, 3)), np.full((4, 4, 3), 255.0)
    faint = np.full((4, 4, 3), 8.0)
    assert regions({"paint": [black, white], "seat": [white, black]}) == {}
    assert list(regions({"paint": [black, white], "seat": [black, faint]})) == ["paint"]
    assert regions({"seat": [black, faint]}) == {}


@pytest.fixture
def opened_files() -> Iterator[list[str]]:
    names: list[str] = []
    listening = True  # a hook stays for good, so it must know when to stop

    def hear(event: str, args: tuple[object, ...]) -> None:
        if listening and event == "open":
            names.append(str(args[0]))

    sys.addaudithook(hear)
    yield names
    listening = False
