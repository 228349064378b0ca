"""The console's main pages as pictures: light and dark, desktop and phone, with real candidates."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from rich.console import Console

from deploy.console_alone import ConsoleAlone
from deploy.layout import ROOT, SAMPLE
from deploy.made_up_ledger import LOSES, fill
from deploy.parts import PROPERTY
from kvsync.errors import InputError
from origin.analysis.command import Wanted as Analysis
from origin.analysis.command import analyse
from origin.console import publishing
from origin.console.accounts import Person
from origin.console.decisions import decide, draw_sample
from origin.console.desk import Desk
from origin.console.jobs import Jobs
from origin.console.queue import Wanted, page_of
from origin.console.sessions import open_session
from origin.console.sets import lines_of_file, preview, take_in
from origin.console.worker import LoadedModels, run

PAGES: Final = {
    "login": "/login",
    "properties": "/",
    "property": f"/p/{PROPERTY}",
    "key-rules": f"/properties/{PROPERTY}",
    "new-property": "/properties/new",
    "new-family": f"/p/{PROPERTY}/families/new",
    "originals": f"/p/{PROPERTY}/originals",
    "upload": f"/p/{PROPERTY}/upload",
    "set": "/sets/1",
    "queue": f"/p/{PROPERTY}/queue",
    "candidate": "/candidates/{candidate}",
    "live": f"/p/{PROPERTY}/live",
    "dashboard": "/dashboard",
    "dashboard-loss": f"/dashboard?region={LOSES}",
    "rows": "/dashboard/rows/answers",
    "statement": "/dashboard/statement",
    "policy": "/dashboard/policy",
    "prices": "/dashboard/prices",
    "audit": "/audit",
    "people": "/people",
    "tokens": "/tokens",
    "hit-list": "/hitlist",
    "not-found": "/candidates/999999",
}
"""Every page that people see often, by what its picture is called."""

FIRST_DAY: Final = {"dashboard-first-day": "/dashboard"}
"""Before anything was counted."""

Scheme = Literal["light", "dark"]
VIEWPORTS: Final[dict[str, ViewportSize]] = {
    "desktop": {"width": 1280, "height": 860},
    "phone": {"width": 390, "height": 844},
}
# Chromium refuses to sandbox for root, as which containers run.
QUIET: Final = ("--no-sandbox",) if os.geteuid() == 0 else ()
_LACES = ("black", "red", "white", "navy", "mint", "volt")


def take(folder: Path) -> list[Path]:
    """A picture of each page in each look; :class:`InputError` without Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        alone = ConsoleAlone(Path(scratch))
        with alone.desk() as (desk, _, person):
            candidate = _some_work(desk, person)
            family = _some_inventory(desk, Path(scratch))
            cookie = open_session(desk.database, person)
        with alone.served(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
            found = list(_pictures(browser, alone.url, cookie, candidate, folder, FIRST_DAY))
            alone.count(fill)
            pages = {**PAGES, "hit-list-family": f"/hitlist/{family}"}
            found += _pictures(browser, alone.url, cookie, candidate, folder, pages)
            browser.close()
    return found


def chromium() -> str:
    """Where Chromium is; :class:`InputError` where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise InputError("no Chromium here: install the package chromium")
    return found


def looks(browser: Browser, url: str, cookie: str) -> Iterator[tuple[str, Page]]:
    """A logged-in page in each look, and the look's name."""
    for scheme in get_args(Scheme):
        for device, viewport in VIEWPORTS.items():
            context = browser.new_context(color_scheme=scheme, viewport=viewport)
            context.add_cookies([{"name": "console", "value": cookie, "url": url}])
            yield f"{scheme}-{device}", context.new_page()
            context.close()


def _pictures(
    browser: Browser,
    url: str,
    cookie: str,
    candidate: int,
    folder: Path,
    pages: Mapping[str, str],
) -> Iterator[Path]:
    for look, page in looks(browser, url, cookie):
        for name, path in pages.items():
            page.goto(url + path.format(candidate=candidate))
            page.wait_for_load_state("networkidle")
            # Pictures further down are fetched when somebody comes near.
            page.evaluate(
                "document.querySelectorAll('img').forEach((one) => one.loading = 'eager')"
            )
            page.wait_for_load_state("networkidle")
            shot = folder / f"{name}-{look}.png"
            page.screenshot(path=shot, full_page=True)
            yield shot


def _some_work(desk: Desk, person: Person) -> int:
    """A set of candidates, some of them decided on; the one to look at."""
    pairs = ((lace, sole) for lace in _LACES for sole in ("white", "red"))
    prompts = "".join(f"{lace} lace, {sole} sole, front view\n" for lace, sole in pairs)
    found = preview(desk, PROPERTY, PROPERTY, lines_of_file(prompts.encode(), "laces.txt"))
    set_id = take_in(desk, PROPERTY, PROPERTY, "Autumn laces", found.good, person)
    run(desk, LoadedModels(desk), Jobs(desk, not_asked).start(set_id, 2, 80.0, person))
    rows = page_of(desk, Wanted(PROPERTY), 1).rows
    decide(desk, rows[-1].id, "approved", "", person)
    publishing.publish(desk, PROPERTY, None, person)
    decide(desk, rows[-3].id, "approved", "", person)
    decide(desk, rows[-2].id, "rejected", "wrong colour", person)
    draw_sample(desk, set_id, 80.0, 5.0, 5, person)
    return rows[0].id


def _some_inventory(desk: Desk, scratch: Path) -> str:
    """A hit list of two families, one of which a log knows; the id of the first."""
    place = scratch / "inventory"
    galleries = {"shoes": SAMPLE / "gallery", "icons": ROOT / "bench/families/icons/gallery"}
    for name, gallery in galleries.items():
        (place / name).mkdir(parents=True)
        for picture in sorted(gallery.glob("*.*"))[:60]:
            shutil.copy(picture, place / name)
    log = scratch / "access.log"
    line = '::1 - - [20/Nov/2026:10:00:00 +0000] "GET /shoes/{} HTTP/1.1" 200 45000 "-" "-" MISS\n'
    names = [one.name for one in (place / "shoes").iterdir()]
    log.write_text("".join(line.format(name) for name in names for _ in range(40)))
    wanted = Analysis(places={PROPERTY: str(place)}, logs=[("", log)], workers=1)
    return analyse(wanted, desk.settings.analysis, Console(quiet=True)).hits[0].id


def not_asked(job_id: int) -> None:
    """The work is done here and now, so nobody has to be asked for it."""
