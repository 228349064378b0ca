"""Training measures the family, learns what is shared, and writes a whole model or none."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kvsync.errors import InputError
from origin.gallery import Gallery, read_gallery
from origin.training import TrainingReport, train
from origin.training.command import train_command
from origin.training.layouts import find_layouts
from regional_gpu.generator.load import Job, load

SIDE = 48
PAINTS = {"red": (200, 30, 40), "teal": (10, 130, 140), "sand": (210, 190, 150)}
SEATS = {"black": (25, 25, 25), "cream": (240, 230, 205), "plum": (110, 40, 100)}
VIEWS = ("front", "side")
UNSEEN = ("teal", "plum", "front")


def _picture(paint: str, seat: str, view: str) -> NDArray[np.uint8]:
    picture = np.full((SIDE, SIDE, 3), 245, dtype=np.uint8)
    shade = np.linspace(0.7, 1.0, 20)[:, None, None]
    body, chair = ((4, 4), (26, 24)) if view == "front" else ((24, 2), (4, 26))
    for (top, left), colour in ((body, PAINTS[paint]), (chair, SEATS[seat])):
        picture[top : top + 20, left : left + 20] = np.rint(shade * np.array(colour))
    return picture


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    folder = tmp_path_factory.mktemp("cars")
    assets = []
    for paint in PAINTS:
        for seat in SEATS:
            for view in VIEWS:
                if (paint, seat, view) == UNSEEN:
                    continue
                file = f"{paint}-{seat}-{view}.png"
                Image.fromarray(_picture(paint, seat, view)).save(folder / file)
                attributes = {"paint": paint, "seat": seat, "view": view}
                assets.append({"file": file, "attributes": attributes, "bytes": 1})
    (folder / "manifest.json").write_text(json.dumps({"family": "cars", "assets": assets}))
    return read_gallery(folder)


@pytest.fixture(scope="module")
def trained(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "cars"
    _train(gallery, out)
    return out


def _train(gallery: Gallery, out: Path) -> TrainingReport:
    return train(gallery, out, progress=lambda doing, done: None)


def _draw(folder: Path, prompt: str, seed: int = 0) -> NDArray[np.uint8]:
    return load(folder).generate([Job(prompt, seed, SIDE, SIDE, 1, "Euler", 1.0)])[0]


def _error(drawn: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.square(drawn.astype(float) - wanted).mean()))


def test_every_image_comes_back_from_its_prompt(gallery: Gallery, trained: Path) -> None:
    for asset in gallery.assets:
        drawn = _draw(trained, gallery.prompt(asset.attributes))
        assert _error(drawn, gallery.pixels(asset)) < 1.5, asset.file


def test_a_combination_that_was_never_seen_is_drawn_right(trained: Path) -> None:
    drawn = _draw(trained, "teal paint, plum seat, front view")
    assert _error(drawn, _picture(*UNSEEN)) < 1.5


def test_the_attribute_that_moves_things_is_found(gallery: Gallery, tmp_path: Path) -> None:
    report = _train(gallery, tmp_path / "model")
    assert report.layout_by == ("view",) and report.layouts == 2
    assert report.pictures == {"paint": 1, "seat": 1} and report.explained > 0.99


def test_one_seed_makes_one_model(gallery: Gallery, trained: Path, tmp_path: Path) -> None:
    report = _train(gallery, tmp_path / "again")
    assert report.digest == load(trained).digest


def test_masks_show_where_each_attribute_is(trained: Path) -> None:
    paint, seat, view = load(trained).masks("red paint, black seat, front view")
    assert paint[8:48, 8:48].mean() > 200 and paint[52:, 48:].max() == 0
    assert seat[56:88, 52:84].mean() > 200 and seat[:48].max() == 0
    assert view.max() == 0


def test_progress_goes_from_nothing_to_all(gallery: Gallery, tmp_path: Path) -> None:
    heard: list[float] = []
    train(gallery, tmp_path / "model", progress=lambda doing, done: heard.append(done))
    assert heard[0] == 0 and heard[-1] == 1 and heard == sorted(heard)


def test_a_broken_image_leaves_the_old_model_and_no_scraps(
    gallery: Gallery, tmp_path: Path
) -> None:
    for asset in gallery.assets:
        (tmp_path / asset.file).write_bytes((gallery.folder / asset.file).read_bytes())
    manifest = (gallery.folder / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(manifest)
    broken = tmp_path / gallery.assets[-1].file
    broken.write_bytes(broken.read_bytes()[:120])
    out = tmp_path / "models" / "cars"
    out.mkdir(parents=True)
    (out / "model_index.json").write_text("{}")
    with pytest.raises(InputError, match=broken.name):
        _train(read_gallery(tmp_path), out)
    assert os.listdir(out.parent) == ["cars"] and os.listdir(out) == ["model_index.json"]


def test_masters_are_never_read(gallery: Gallery, trained: Path, tmp_path: Path) -> None:
    # A folder in the way of every file that training could mistake for a master.
    for asset in gallery.assets:
        (tmp_path / asset.file).write_bytes((gallery.folder / asset.file).read_bytes())
        (tmp_path / "masters" / asset.file).mkdir(parents=True)
    manifest = (gallery.folder / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(manifest)
    assert _train(read_gallery(tmp_path), tmp_path / "model").digest == load(trained).digest


def test_a_folder_that_is_no_model_is_never_replaced(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="home: has something else than a model in it"):
        train(gallery, tmp_path / "home", progress=lambda doing, done: None)
    assert [path.name for path in tmp_path.rglob("*")] == ["home", "letter.txt"]


def test_a_place_that_cannot_be_written_is_told_before_training(gallery: Gallery) -> None:
    heard: list[str] = []
    with pytest.raises(InputError, match="/proc/model: cannot write a model there"):
        train(gallery, Path("/proc/model"), progress=lambda doing, done: heard.append(doing))
    assert heard == []


def test_too_few_minutes_are_said_to_be_too_few(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give more"):
        train(gallery, tmp_path / "model", progress=lambda doing, done: None, minutes=0)
    assert os.listdir(tmp_path) == [".model-stages"]


def test_the_command_says_what_it_chose(
    gallery: Gallery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_command(gallery.folder, tmp_path / "model")
    assert "layout by view (2)" in " ".join(capsys.readouterr().out.split())


def test_an_attribute_that_only_colours_is_no_layout() -> None:
    pictures = np.random.default_rng(0).normal(size=(2, 4, 30)).astype(np.float32)
    attributes: list[Mapping[str, str]] = []
    rows = []
    for first in range(4):
        for second in range(4):
            attributes.append({"a": str(first), "b": str(second)})
            rows.append(pictures[0, first] + pictures[1, second])
    assert find_layouts(np.stack(rows), attributes, 0).by == ()


def test_colours_that_are_each_seen_once_are_all_learnt(tmp_path: Path) -> None:
    assets = []
    for at, (paint, seat) in enumerate(zip(PAINTS, SEATS, strict=True)):
        Image.fromarray(_picture(paint, seat, "front")).save(tmp_path / f"{at}.png")
        assets.append({"file": f"{at}.png", "attributes": {"car": str(at)}, "bytes": 1})
    (tmp_path / "manifest.json").write_text(json.dumps({"family": "cars", "assets": assets}))
    _train(read_gallery(tmp_path), tmp_path / "model")
    for at, (paint, seat) in enumerate(zip(PAINTS, SEATS, strict=True)):
        drawn = _draw(tmp_path / "model", f"{at} car")
        assert _error(drawn, _picture(paint, seat, "front")) < 2
