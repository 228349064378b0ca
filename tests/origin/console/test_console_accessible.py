"""The pages for everybody, and the API for programs that ask anything: checked by others' tools."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from deploy.screenshots import PAGES, QUIET, chromium, looks
from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.decisions import decide
from origin.console.desk import Desk
from origin.console.publishing import publish
from origin.console.sessions import make_token, open_session
from origin.console.tables import Role
from tests.origin.console.conftest import PROMPTS

pytestmark = pytest.mark.slow
SERIOUS = ("serious", "critical")
SCROLLS = "document.documentElement.scrollWidth > innerWidth"


def serious_issues(page: Page, where: str) -> list[str]:
    return [
        f"{where}: {one['id']} at {one['nodes'][0]['target']}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] in SERIOUS
    ]


def too_wide(page: Page, where: str) -> list[str]:
    """Tables scroll in their own frame: a page that scrolls sideways is not read on a phone."""
    return [f"{where}: wider than the screen"] if page.evaluate(SCROLLS) else []


def test_axe_finds_no_serious_issue_in_any_look(
    drawn: Desk, web: str, person: Callable[[Role], Person]
) -> None:
    try:
        browser_path = chromium()
    except InputError:
        pytest.skip("no Chromium on this machine")
    cookie = open_session(drawn.database, person("admin"))
    decide(drawn, 1, "approved", "", person("approver"))
    published = publish(drawn, "rumba", None, person("approver"))
    pages = {**PAGES, "change": f"/p/rumba/changes/{published.seq}", "password": "/password"}
    found: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        for look, page in looks(browser, web, cookie):
            for name, path in pages.items():
                page.goto(web + path.format(candidate=1))
                found += serious_issues(page, f"{name} {look}")
                found += too_wide(page, f"{name} {look}")
            page.goto(f"{web}/p/rumba/upload")
            page.get_by_label("Prompts, one a line").fill("purple lace\n" + PROMPTS)
            page.get_by_role("button", name="Preview").click()
            page.get_by_role("heading", name="Rows that stay out").wait_for()
            found += serious_issues(page, f"preview {look}")
        browser.close()
    assert found == []


def test_no_request_to_the_api_is_an_error_of_ours(
    drawn: Desk, web: str, person: Callable[[Role], Person]
) -> None:
    token = make_token(drawn.database, person("admin"), "schemathesis", "admin")
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"{web}/api/v1/openapi.json", "--header", f"Authorization: Bearer {token}"]
    command += ["--checks", "not_a_server_error", "--max-examples", "8", "--seed", "7"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-1_000:]
