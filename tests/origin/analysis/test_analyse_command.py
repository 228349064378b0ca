"""``./rehydrate analyse``: what it says of a run, and what it refuses."""

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from kvsync.errors import OriginUnavailable
from origin.analysis.command import Wanted, analyse, named_place, open_named, read_list
from origin.cli import app
from tests.origin.analysis.test_survey import drawing


@pytest.fixture
def shop(s3_server: tuple[str, Path], s3_credentials: None, tmp_path: Path) -> Path:
    """Four mugs below a prefix of the bucket."""
    folder = s3_server[1] / tmp_path.name
    folder.mkdir()
    for colour in ("red", "green", "blue", "orange"):
        drawing(1, colour).save(folder / f"mug-{colour}.png")
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["analyse", *arguments, "--workers", "1"])


def test_only_what_changed_in_a_bucket_is_read_again(
    s3_server: tuple[str, Path], shop: Path, tmp_path: Path
) -> None:
    asked = f"shop=s3://bucket/{shop.name}", "--endpoint-url", s3_server[0]
    assert "4 read (4 in this run)" in run(*asked, "--into", str(tmp_path / "list")).output
    drawing(2, "red").save(shop / "mug-red.png")
    (shop / "mug-blue.png").unlink()
    again = run(*asked, "--into", str(tmp_path / "list")).output
    assert "shop: 3 files" in again and "3 read (1 in this run)" in again and "1 gone" in again


def test_where_nothing_can_be_listed_the_list_stays(
    s3_server: tuple[str, Path], shop: Path, tmp_path: Path
) -> None:
    url, into = s3_server[0], tmp_path / "list"
    analyse(
        Wanted({"shop": f"s3://bucket/{shop.name}"}, endpoint_url=url, workers=1), into, Console()
    )
    before = read_list(into)
    with pytest.raises(OriginUnavailable, match="s3://nowhere"):
        analyse(Wanted({"other": "s3://nowhere"}, endpoint_url=url, workers=1), into, Console())
    assert read_list(into) == before and before.hits
    failed = run("other=s3://nowhere", "--endpoint-url", url, "--into", str(into))
    assert failed.exit_code == 1 and "the listing broke off" in failed.output


def test_of_two_customers_one_that_cannot_be_listed_is_told(
    s3_server: tuple[str, Path], shop: Path, tmp_path: Path
) -> None:
    places = {"shop": f"s3://bucket/{shop.name}", "other": "s3://nowhere"}
    wanted = Wanted(places, endpoint_url=s3_server[0], workers=1)
    found = analyse(wanted, tmp_path / "list", Console())
    assert found.hits and any("other: the listing broke off" in note for note in found.notes)


def test_two_places_of_one_name_are_no_one_customers(tmp_path: Path) -> None:
    places = [str(tmp_path / "winter/gallery"), str(tmp_path / "summer/gallery")]
    failed = run(*places)
    assert failed.exit_code == 1
    assert "'gallery' has a place already; write CUSTOMER=PLACE" in failed.output


def test_an_inventory_is_opened_again_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pictures").mkdir()
    drawing(1, "red").save(tmp_path / "pictures/mug.png")
    (tmp_path / "part.csv").write_text('"bucket","mug.png","5"\n')
    monkeypatch.chdir(tmp_path)
    named = named_place("part.csv", None, "pictures")
    monkeypatch.chdir("/")
    place = open_named(named)
    (page,) = place.pages("")
    assert place.read(page[0].path) == (tmp_path / "pictures/mug.png").read_bytes()
