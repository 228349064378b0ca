"""The pages for everybody, and the API for programs that ask anything: checked by others' tools."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from deploy.screenshots import PAGES, QUIET, chromium, looks
from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.sessions import make_token, open_session
from origin.console.tables import Role

pytestmark = pytest.mark.slow
SERIOUS = ("serious", "critical")


def test_axe_finds_no_serious_issue_in_any_look(
    drawn: Desk, web: str, person: Callable[[Role], Person]
) -> None:
    try:
        browser_path = chromium()
    except InputError:
        pytest.skip("no Chromium on this machine")
    cookie = open_session(drawn.database, person("admin"))
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        for look, page in looks(browser, web, cookie):
            for name, path in PAGES.items():
                page.goto(web + path.format(candidate=1))
                issues = Axe().run(page).response["violations"]
                found += [
                    f"{name} {look}: {one['id']} at {one['nodes'][0]['target']}"
                    for one in issues
                    if one["impact"] in SERIOUS
                ]
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
