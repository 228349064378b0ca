"""`bench quality` judges any family by the rules: references, regions, figures."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import quality
from bench._references import Subject, is_lossless, sample, subjects, unseen_subjects
from bench._regions import Regions, regions
from bench._trained import work_on
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
    work = work_on(cars, tmp_path_factory.mktemp("model"))
    work.train(minutes=5)
    return work.model


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


def test_masters_and_unseen_pictures_cannot_be_read_while_training_runs(
    cars: Path, other_cars: Path, tmp_path: Path, unreadable: Callable[[Path], list[str]]
) -> None:
    tried = [unreadable(folder) for folder in (cars / "masters", other_cars)]
    with pytest.raises(PermissionError):
        (cars / "masters" / "red-black.png").read_bytes()
    with pytest.raises(InputError, match="Permission denied"):
        read_gallery(other_cars)
    before = [len(names) for names in tried]
    assert work_on(cars, tmp_path).train(minutes=5).model_bytes > 0
    assert [len(names) for names in tried] == before


def test_a_run_interrupted_after_training_goes_on_from_there(cars: Path, tmp_path: Path) -> None:
    work = work_on(cars, tmp_path)
    trained = work.train(minutes=5)
    weights = work.model / "model_index.json"
    again = work_on(cars, tmp_path)
    assert again.train(minutes=5) == trained and again == work
    work.done()
    assert not weights.exists() and list(tmp_path.iterdir()) == []


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
def unreadable() -> Iterator[Callable[[Path], list[str]]]:
    """Makes folders unreadable to this process, root or not; the lists say what was tried."""
    forbidden: dict[str, list[str]] = {}

    def refuse(event: str, args: tuple[object, ...]) -> None:
        # A hook stays for good: it is quiet again once nothing is forbidden.
        if not forbidden or event not in ("open", "os.listdir", "os.scandir"):
            return
        for folder, tried in forbidden.items():
            if str(args[0]).startswith(folder):
                tried.append(str(args[0]))
                raise PermissionError(13, "Permission denied", str(args[0]))

    def forbid(folder: Path) -> list[str]:
        return forbidden.setdefault(str(folder), [])

    sys.addaudithook(refuse)
    yield forbid
    forbidden.clear()
