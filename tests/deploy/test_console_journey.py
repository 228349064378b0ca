"""An operator's first day, in a browser: from a CSV to what shoppers see, and back again."""

import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy.check.console_story import SEED
from deploy.layout import SAMPLE
from origin.catalogue import read_catalogue
from tests.deploy.test_up import CHROMIUM, PATIENCE_S, QUIET, neighbouring_ports, up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
OWN = "a password of my own"
LOOKED_AT = 20
_WAY_IN = re.compile(r"Operators: (\S+), the first time as admin with (\S+), which")
WRITES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/p/rumba/publish", {}),
    ("/p/rumba/revoke", {"pattern": "*", "reason": "none"}),
    ("/p/rumba/publications/1/roll-back", {}),
    ("/p/rumba/publications/1/everywhere", {}),
    ("/p/rumba/preview", {"family": "rumba", "text": "red lace"}),
    ("/p/rumba/import", {"family": "rumba", "upload": "none"}),
    ("/sets/1/generate", {}),
    ("/sets/1/sample", {"least_score": "80", "most_delta_e": "3", "count": "5"}),
    ("/jobs/1/cancel", {}),
    ("/candidates/1/decide", {"verdict": "approved"}),
    ("/samples/1/approve", {}),
    ("/undo", {}),
    ("/candidates/1/comments", {"text": "mine"}),
    ("/people", {"name": "eve", "role": "admin"}),
    ("/people/1", {"role": "viewer"}),
    ("/properties", {"id": "eve", "hosts": "eve.example", "like": "rumba"}),
    ("/properties/try", {"id": "eve", "hosts": "eve.example", "like": "rumba"}),
    ("/p/rumba/families", {"name": "eve", "pattern": "{a}.jpg"}),
    ("/p/rumba/families/try", {"pattern": "{a}.jpg"}),
    ("/p/rumba/families/rumba/gather", {}),
    ("/p/rumba/originals", {"upload": "none"}),
    ("/p/rumba/originals/preview", {}),
    ("/hitlist/1/take", {}),
    ("/dashboard/policy", {}),
    ("/dashboard/prices", {}),
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """The shop's address, the console's, and the first admin's password as it was printed."""
    port = neighbouring_ports()
    said: list[str] = []
    with up(tmp_path_factory.mktemp("journey") / "var", port, "--no-sample", hear=said.append):
        found = _WAY_IN.search(" ".join("".join(said).split()))
        assert found is not None, said
        yield f"http://localhost:{port}", found[1], found[2]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


def test_from_a_csv_to_shoppers_and_back(
    started: tuple[str, str, str], browser: Browser, tmp_path: Path
) -> None:
    shop, console, password = started
    paths, file = _prompts(tmp_path)
    page = _page(browser, console)
    _log_in_first(page, "admin", password)
    _import_with_an_error(page, file)
    page.get_by_role("button", name="Make candidates").click()
    # What comes next appears by itself, once the job is done.
    judge = page.get_by_role("link", name=f"Judge {LOOKED_AT} one by one")
    judge.click(timeout=PATIENCE_S * 1_000)
    _judge_by_keyboard(page)
    page.get_by_role("link", name="On to publishing").click()
    page.get_by_role("button", name=f"Publish {LOOKED_AT} approved").click()
    page.get_by_role("heading", name=f"{LOOKED_AT} went live").wait_for()
    _confirmed(page)
    for path in paths[:2]:
        _becomes(shop, path, "rehydrated")

    page.goto("/p/rumba/live")
    page.get_by_role("link", name=f"Revoke {paths[0]}").click()
    page.locator("#revoke [name=reason]").fill("the sole looks odd")
    page.get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_role("heading", name="Taken back").wait_for()
    _confirmed(page)
    assert _served(shop, paths[0]) == "origin"
    _becomes(shop, paths[1], "rehydrated")

    page.goto("/p/rumba/live")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text(f"0 went back to what they were, {LOOKED_AT - 1} to the origin").wait_for()
    _confirmed(page)
    assert _served(shop, paths[1]) == "origin"
    _another_is_only_a_viewer(page, _page(browser, console))


def _page(browser: Browser, console: str) -> Page:
    context = browser.new_context(base_url=console, accept_downloads=True)
    context.set_default_timeout(PATIENCE_S * 1_000)
    return context.new_page()


def _another_is_only_a_viewer(admin: Page, page: Page) -> None:
    admin.goto("/people")
    admin.get_by_label("Name", exact=True).fill("vera")
    admin.locator("form[action='/people'] select").select_option("viewer")
    admin.get_by_role("button", name="Add").click()
    _log_in_first(page, "vera", admin.locator(".secret").inner_text())
    csrf = page.locator("input[name=csrf]").first.input_value()
    for path, fields in WRITES:
        answer = page.context.request.post(path, form={"csrf": csrf, **fields})
        assert answer.status == 403, f"{path}: {answer.status}"
    page.goto("/p/rumba/live")
    assert page.get_by_role("button").all_inner_texts() == ["Log out"]


def _log_in_first(page: Page, name: str, password: str) -> None:
    """With a one-time password, which has to be changed."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("One-time password").fill(password)
    page.locator("[name=new]").fill(OWN)
    page.get_by_label("New password again").fill(OWN)
    page.get_by_role("button", name="Change it").click()
    page.get_by_text("Your password is changed").wait_for()


def _import_with_an_error(page: Page, file: Path) -> None:
    page.get_by_role("link", name="Upload prompts").first.click()
    page.get_by_label("Prompt set file").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="Rows that stay out").wait_for()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download the wrong rows").click()
    rejected = begun.value.path().read_text()
    assert rejected.count("\n") == 2 and "purple sole" in rejected
    page.get_by_role("button", name=f"Import {LOOKED_AT} rows").click()


def _judge_by_keyboard(page: Page) -> None:
    page.get_by_role("link", name="Start judging").click()
    for left in range(LOOKED_AT, 0, -1):
        page.locator(".judge").wait_for()
        # Keys are heard once the page is read; its pictures may still be on their way.
        page.wait_for_load_state("domcontentloaded")
        with page.expect_navigation(wait_until="domcontentloaded", timeout=PATIENCE_S * 1_000):
            page.keyboard.press("a")
        assert left == 1 or "/candidates/" in page.url


def _confirmed(page: Page) -> None:
    expect(page.get_by_text("1 of 1 region confirmed")).to_be_visible(timeout=PATIENCE_S * 1_000)


def _prompts(folder: Path) -> tuple[list[str], Path]:
    """Paths of twenty originals, and their prompts as a CSV with one row that is wrong."""
    assets = list(read_catalogue(SAMPLE).assets.items())[:LOOKED_AT]
    rows = [("asset", "prompt", "seed"), ("", "purple sole", "1")]
    for name, asset in assets:
        words = (f"{value} {what}" for what, value in asset.attributes.items())
        rows.append((name, ", ".join(words), str(SEED)))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path = folder / "shoes.csv"
    path.write_text(text.getvalue())
    return [f"/rumba/{name}" for name, _ in assets], path


def _becomes(shop: str, path: str, wanted: str) -> None:
    """A busy machine's region may miss its deadline: the origin stands in for it for a while."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := _served(shop, path)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(1.0)


def _served(shop: str, path: str) -> str:
    accept = {"accept": "image/jpeg"}
    status = httpx2.get(shop + path, headers=accept, timeout=PATIENCE_S).headers["cache-status"]
    return "rehydrated" if "rehydrated" in status else "origin" if "origin:" in status else status
