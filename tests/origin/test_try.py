"""`./rehydrate try`: any folder in, an honest answer out."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner, Result

from origin.cli import app
from origin.try_money import Prices, bill

SIDE = 64
PAINTS = {"red": (200, 30, 40), "teal": (10, 130, 140), "sand": (210, 190, 150)}
SEATS = {"black": (25, 25, 25), "cream": (240, 230, 205), "plum": (110, 40, 100)}


def _try(folder: Path, *options: str) -> Result:
    out = folder.parent / "sheet.html"
    return CliRunner().invoke(app, ["try", str(folder), "--out", str(out), *options])


def _said(result: Result) -> str:
    return " ".join((result.output + result.stderr).split())


def _car(paint: str, seat: str) -> Image.Image:
    picture = np.full((SIDE, SIDE, 3), 245, np.uint8)
    shade = np.linspace(0.7, 1.0, 28)[:, None, None]
    picture[4:32, 4:60] = np.rint(shade * np.array(PAINTS[paint]))
    picture[32:60, 16:48] = np.rint(shade * np.array(SEATS[seat]))
    return Image.fromarray(picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shots of each of nine cars, named by what they show."""
    path = tmp_path / "cars"
    path.mkdir()
    for paint, seat, shot in product(PAINTS, SEATS, "12"):
        _car(paint, seat).save(path / f"car_{paint}_{seat}_{shot}.png")
    return path


def _nameless(folder: Path) -> None:
    for at, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"IMG_{at:04}.png")


def test_a_family_is_recognised_by_its_names(folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    result = _try(folder)
    said = _said(result)
    assert result.exit_code == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["cars", "sheet.html"]
    assert "part1 has 3 values (red, sand, teal); part2 has 3 values" in said
    assert "part3" not in said  # which shot it is shows nowhere
    assert "from the file names" in said and "images/s, encoded" in said
    sheet = (folder.parent / "sheet.html").read_text()
    assert sheet.count("<figure>") >= 8 and "red part1, plum part2" in sheet


@pytest.mark.slow
def test_prices_decide_whether_it_pays(folder: Path) -> None:
    assert _said(_try(folder, "--dollars-per-hour", "0.0001", "--dollars-per-gb", "9")).startswith(
        "yes:"
    )
    assert "Drawing loses" in _said(_try(folder, "--dollars-per-hour", "1000"))


@pytest.mark.slow
def test_a_family_without_telling_names_is_found_in_the_pixels(folder: Path) -> None:
    _nameless(folder)
    said = _said(_try(folder))
    assert "part1 has 3 values" in said and "part2 has 3 values" in said
    assert "from their pixels" in said
    assert re.search(r"100% of \d+ trained on", said)


@pytest.mark.slow
def test_a_manifest_is_used_where_there_is_one(folder: Path) -> None:
    files = [
        f'{{"file": "{path.name}", "attributes": {{"kind": "car"}}}}' for path in folder.iterdir()
    ]
    (folder / "manifest.json").write_text(f'{{"family": "cars", "assets": [{",".join(files)}]}}')
    assert "from the manifest" in _said(_try(folder))


@pytest.mark.slow
def test_what_cannot_be_used_is_left_out_by_name(folder: Path) -> None:
    whole = (folder / "car_red_black_1.png").read_bytes()
    (folder / "car_red_black_3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "car_red_black_4.jpg").write_text("not a picture")
    Image.new("CMYK", (SIDE, SIDE)).save(folder / "car_red_black_5.jpg")
    Image.new("RGB", (SIDE, 2 * SIDE)).save(folder / "car_red_black_6.png")
    (folder / "notes.txt").write_text("not looked at")
    result = _try(folder)
    assert result.exit_code == 0
    assert re.search(r"4 files left out: .*car_red_black_3.png is a damaged image", _said(result))


@pytest.mark.slow
def test_pictures_on_their_side_are_seen_upright(folder: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    for path in list(folder.iterdir()):
        turned = Image.open(path).rotate(270)
        path.unlink()
        turned.save(path.with_suffix(".jpg"), quality=95, exif=exif)
    assert "part1 has 3 values (red, sand, teal)" in _said(_try(folder))


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (0, "no pictures (.avif, .jpeg, .jpg, .png, .webp) in it"),
        (1, "1 picture of one size (64x64). A family needs 8 or more"),
        (3, "3 pictures of one size (64x64). A family needs 8 or more"),
    ],
)
def test_too_few_pictures_are_no_family(folder: Path, keep: int, says: str) -> None:
    for path in sorted(folder.iterdir())[keep:]:
        path.unlink()
    result = _try(folder)
    assert result.exit_code == 1 and says in _said(result)


def test_unrelated_pictures_are_no_family(tmp_path: Path) -> None:
    folder = tmp_path / "holidays"
    folder.mkdir()
    random = np.random.default_rng(0)
    for at in range(12):
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"DSC{at:05}.jpg")
    result = _try(folder)
    said = _said(result)
    assert result.exit_code == 0 and said.startswith("no: these 12 pictures do not look like one")
    assert "do not look like one family" in (folder.parent / "sheet.html").read_text()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = _try(tmp_path / "nowhere")
    assert result.exit_code == 1 and "nowhere: no such folder" in _said(result)


def test_the_bill_of_a_month() -> None:
    costs = bill(
        Prices(images_a_month=1e6, dollars_per_gb=0.05, dollars_per_hour=3.0),
        image_bytes=50_000,
        images=260,
        images_per_s=1e6 / 3600,
        model_bytes=0,
        record_bytes=0,
    )
    assert costs.hauled == pytest.approx(2.5) and costs.drawn == pytest.approx(3.0 / 0.7)
    assert costs.saving == pytest.approx(2.5 - 3.0 / 0.7)
    assert costs.drawn + costs.idle == pytest.approx(720 * 3)
    assert costs.kept == pytest.approx(0.013 * 0.073)
