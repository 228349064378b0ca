"""The hit list in the console: a table that sorts, filters and exports, and a way into training."""

import csv
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from rich.console import Console

from deploy.screenshots import QUIET, chromium
from kvsync.errors import InputError
from origin.analysis.command import Wanted, analyse
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.sessions import open_session
from origin.console.tables import Role
from tests.origin.console.visitor import Visitor

ROOT = Path(__file__).parents[3]
LINE = (
    '::1 - - [20/Nov/2026:10:00:0{n} +0000] "GET /rumba/{name} HTTP/1.1" 200 45000 "-" "-" MISS\n'
)


@pytest.fixture
def listed(desk: Desk, tmp_path: Path) -> Iterator[Path]:
    """The list of an inventory of two families, of which logs know the shoes."""
    place = tmp_path / "place"
    shoes = sorted((ROOT / "origin/samples/rumba/gallery").glob("*.jpg"))[:24]
    icons = sorted((ROOT / "bench/families/icons/gallery").glob("[ab]*.webp"))
    for picture in [*shoes, *icons]:
        target = place / ("" if picture in shoes else "icons") / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)
    log = tmp_path / "access.log"
    log.write_text("".join(LINE.format(n=n % 10, name=one.name) for one in shoes for n in range(9)))
    folder = desk.settings.analysis
    wanted = Wanted(places={"rumba": str(place)}, logs=[("", log)], workers=1)
    analyse(wanted, folder, Console(quiet=True))
    yield folder
    # Training that a test began may still write beside the list.
    shutil.rmtree(folder, ignore_errors=True)


def test_it_sorts_filters_and_exports(listed: Path, logged_in: Callable[[Role], Visitor]) -> None:
    viewer = logged_in("viewer")
    text = viewer.get("/hitlist").text
    assert "2 families" in text and text.index(">rumba-") < text.index(">icons-")
    by_name = viewer.get("/hitlist?sort=name").text
    assert by_name.index(">icons-") < by_name.index(">rumba-")
    assert "1 family" in viewer.get("/hitlist?like=ICONS").text
    rows = list(csv.DictReader(io.StringIO(viewer.get("/hitlist/export?form=csv").text)))
    assert len(rows) == 2 and float(rows[0]["misses"]) == 24 * 9 * 30
    hits = json.loads(viewer.get("/hitlist/export?form=json").text)["hits"]
    assert viewer.get(f"/hitlist/{hits[0]['id']}/0.webp").content[8:12] == b"WEBP"
    family = viewer.get(f"/hitlist/{hits[0]['id']}").text
    assert "Same path template" in family and "role operator" in family


def test_only_an_operator_takes_a_family(
    listed: Path, logged_in: Callable[[Role], Visitor]
) -> None:
    viewer = logged_in("viewer")
    (first, *_) = json.loads(viewer.get("/hitlist/export?form=json").text)["hits"]
    assert viewer.post(f"/hitlist/{first['id']}/take").status_code == 403
    assert logged_in("operator").get("/hitlist/nothing").status_code == 404


def test_without_a_list_it_says_how_to_make_one(logged_in: Callable[[Role], Visitor]) -> None:
    assert "./rehydrate analyse" in logged_in("viewer").get("/hitlist").text


@pytest.mark.slow
def test_what_could_not_be_taken_says_why_and_can_be_tried_again(
    listed: Path, tmp_path: Path, logged_in: Callable[[Role], Visitor]
) -> None:
    operator = logged_in("operator")
    (first, *_) = json.loads(operator.get("/hitlist/export?form=json").text)["hits"]
    shutil.move(tmp_path / "place", tmp_path / "away")
    for _ in range(2):
        operator.post(f"/hitlist/{first['id']}/take")
        assert "is being trained already" in operator.post(f"/hitlist/{first['id']}/take").text
        deadline = time.monotonic() + 60
        while "did not work" not in (text := operator.get(f"/hitlist/{first['id']}/taking").text):
            assert "is being trained" in text and time.monotonic() < deadline, text
            time.sleep(0.2)
        assert "Try it again" in text


def test_a_family_of_somebody_who_is_no_property_says_what_is_missing(
    listed: Path, tmp_path: Path, logged_in: Callable[[Role], Visitor]
) -> None:
    icons = str(tmp_path / "place" / "icons")
    analyse(Wanted({"elsewhere": icons}, workers=1), listed, Console(quiet=True))
    admin = logged_in("admin")
    hits = json.loads(admin.get("/hitlist/export?form=json").text)["hits"]
    # Those of the first inventory are in the list still.
    assert {one["customers"][0] for one in hits} == {"rumba", "elsewhere"}
    (other,) = (one for one in hits if one["customers"] == ["elsewhere"])
    text = admin.get(f"/hitlist/{other['id']}").text
    assert "elsewhere is no property" in text and "Take into training" not in text
    assert admin.post(f"/hitlist/{other['id']}/take").status_code == 422


@pytest.mark.slow
def test_in_a_browser_a_family_goes_from_the_list_into_training(
    listed: Path, desk: Desk, web: str, person: Callable[[Role], Person]
) -> None:
    try:
        path = chromium()
    except InputError:
        pytest.skip("no Chromium on this machine")
    cookie = open_session(desk.database, person("operator"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        context = browser.new_context()
        context.add_cookies([{"name": "console", "value": cookie, "url": web}])
        page = context.new_page()
        page.goto(f"{web}/hitlist")
        page.get_by_role("link", name="Images").click()
        expect(page.locator("th[aria-sort=descending]")).to_have_text("Images")
        page.get_by_label("Name, path or customer").fill("rumba-")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.locator("tbody a").click()
        expect(page.get_by_role("heading", name="Contact sheet")).to_be_visible()
        page.get_by_role("button", name="Take into training").click()
        expect(page.get_by_text("It is being trained.")).to_be_visible()
        browser.close()
    deadline = time.monotonic() + 60
    manifests = listed / "galleries"
    while not list(manifests.glob("*/manifest.json")) and time.monotonic() < deadline:
        time.sleep(0.2)
    (manifest,) = manifests.glob("*/manifest.json")
    assert len(json.loads(manifest.read_text())["assets"]) == 24
