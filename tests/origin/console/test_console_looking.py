"""How a person looks at a candidate, in a browser and without a mouse."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from deploy.screenshots import QUIET, chromium
from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.sessions import open_session
from origin.console.tables import Role
from origin.tables import CandidateRow

pytestmark = pytest.mark.slow
SIZE = 768
PLACE = "[...document.querySelectorAll('.pan')].filter(one => one.offsetParent)"


@pytest.fixture
def page(drawn: Desk, web: str, person: Callable[[Role], Person]) -> Iterator[Page]:
    """A candidate's page on a screen with two pixels for one."""
    try:
        path = chromium()
    except InputError:
        pytest.skip("no Chromium on this machine")
    cookie = open_session(drawn.database, person("approver"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        context = browser.new_context(
            viewport={"width": 900, "height": 500}, device_scale_factor=2, base_url=web
        )
        context.add_cookies([{"name": "console", "value": cookie, "url": web}])
        opened = context.new_page()
        opened.goto("/candidates/1")
        opened.wait_for_load_state("networkidle")
        yield opened
        browser.close()


def width_of(page: Page, side: str) -> float:
    found = page.locator(f"[data-side={side}] img").bounding_box()
    assert found is not None
    return found["width"]


def comes_to(page: Page, place: list[int]) -> bool:
    """Whether all that is shown is scrolled there soon: browsers tell of scrolling afterwards."""
    for _ in range(1_200):
        found = page.evaluate(f"{PLACE}.map(one => [one.scrollLeft, one.scrollTop])")
        if found and all(one == place for one in found):
            return True
        page.wait_for_timeout(50)
    return False


def test_flicker_shows_each_pixel_as_one_of_the_screens(page: Page) -> None:
    page.keyboard.press("f")
    assert width_of(page, "original") == width_of(page, "generated") == SIZE / 2
    page.keyboard.press("f")
    assert page.locator("select[data-zoom]").input_value() == "fit"
    page.keyboard.press("z")
    assert width_of(page, "generated") == SIZE / 2


def test_zoomed_pictures_scroll_together_in_every_way_of_looking(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press("z")
    assert width_of(page, "original") == 4 * SIZE / 2
    page.locator("[data-side=generated] .pan").evaluate("one => one.scrollTo(310, 220)")
    for key in ("p", "s", "f", "d", "e", "p"):
        page.keyboard.press(key)
        assert comes_to(page, [310, 220]), key


def test_a_candidate_is_judged_and_taken_back_by_keys_alone(page: Page, drawn: Desk) -> None:
    def state() -> str:
        with drawn.database.reading() as session:
            return session.get_one(CandidateRow, 1).state

    with page.expect_navigation():
        page.keyboard.press("a")
    assert state() == "approved"
    if "/candidates/" not in page.url:
        page.goto("/candidates/1")
    with page.expect_navigation():
        page.keyboard.press("u")
    assert state() == "proposed"
    page.keyboard.press("r")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert state() == "rejected"
