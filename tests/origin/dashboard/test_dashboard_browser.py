"""The dashboard as somebody who pays the bill meets it, in a browser."""

import datetime
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from deploy.screenshots import QUIET, chromium
from kvsync.errors import InputError
from kvsync.ledger import Row
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.sessions import open_session
from origin.console.tables import Role
from origin.dashboard.words import grain, money
from origin.ledger.intake import Ages, Ledger
from tests.origin.dashboard.ledger_world import answers, count, held, some_of_everything, work

pytestmark = pytest.mark.slow

Api = Callable[[Role], httpx2.Client]
PARTS = ("haul_avoided", "busy", "idle", "qa", "sync", "models", "replicas", "storage")


@pytest.fixture
def page(web: str, desk: Desk, person: Callable[[Role], Person]) -> Iterator[Page]:
    """A viewer's browser; a script or style that the policy refuses fails the test."""
    try:
        path = chromium()
    except InputError:
        pytest.skip("no Chromium on this machine")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        context = browser.new_context(base_url=web)
        cookie = open_session(desk.database, person("viewer"))
        context.add_cookies([{"name": "console", "value": cookie, "url": web}])
        opened = context.new_page()
        opened.on("console", lambda said: complaints.append(said.text) if bad(said.type) else None)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        yield opened
        browser.close()
    assert complaints == []


def bad(kind: str) -> bool:
    return kind in ("error", "warning")


def test_figures_on_the_page_are_the_api_s_and_a_hand_computation(
    page: Page, api: Api, ledger: Ledger
) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard")
    told = api("viewer").get("/api/v1/savings").json()
    for name in ("today", "month", "since_start"):
        card, (figure,) = page.locator(f"[data-headline={name}]"), told[name]
        expect(card.locator(".large .money")).to_have_text(money(figure["saved"], "USD"))
        least = grain(figure[part] for part in PARTS)
        for part in PARTS:
            sign = 1 if part == "haul_avoided" else -1
            expect(card.locator(f"[data-part={part}]")).to_have_text(
                money(sign * figure[part], "USD", least)
            )
    # 3000 of 50 kB at $0.05/GB, less a minute of a host at $0.04 an hour and 1.1 MB at $0.05/GB.
    by_hand = 3_000 * 50e3 / 1e9 * 0.05 - 60 / 3600 * 0.04 - 1.1e6 / 1e9 * 0.05
    assert told["month"][0]["saved"] == pytest.approx(by_hand, rel=1e-4)
    offload = page.locator("section[aria-labelledby=offload-title]")
    expect(offload).to_contain_text("75.0 %")
    expect(offload).to_contain_text("60.0 %")
    expect(offload).to_contain_text("90.0 %")
    expect(offload).to_contain_text("no-record")


def test_a_number_leads_to_its_rows_and_they_to_a_csv(page: Page, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard?range=today")
    page.locator("[data-headline=today] [data-part=busy]").click()
    page.get_by_role("heading", name="Rows: work").wait_for()
    expect(page.locator("tbody")).to_contain_text("serve")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of all").click()
    assert download.value.suggested_filename == "work.csv"


def test_a_number_leads_to_just_its_rows_whose_sum_it_is(page: Page, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard?range=today")
    reasons = page.locator("section[aria-labelledby=offload-title] tbody")
    reasons.get_by_role("link", name="1,000").click()
    page.get_by_role("heading", name="Rows: answers").wait_for()
    expect(page.locator("p.soft").first).to_contain_text("reason no-record")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tfoot")).to_contain_text("1,000")


def test_every_number_of_the_page_is_a_link(page: Page, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard")
    page.locator("#figures").wait_for()
    plain = page.locator("#figures td.number:not(:has(a)), #figures dd:not(:has(a))")
    told = [text for text in plain.all_inner_texts() if any(one.isdigit() for one in text)]
    # From how many misses or images on a way pays is worked out from the figures beside it.
    assert [text for text in told if " misses" not in text and " images" not in text] == []


def test_what_policies_would_have_cost_is_as_the_api_says(
    page: Page, api: Api, ledger: Ledger
) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard/policy?range=today")
    answer = api("viewer").get("/api/v1/policies", params={"range": "today"})
    (told,) = answer.json()["families"]
    row = page.locator("[data-replay=rumba] tbody tr").first
    names = ("always", "economical", "resilience", "haul")
    least = grain(told[name] for name in names)
    for name in names:
        expect(row).to_contain_text(money(told[name], "USD", least))
    expect(page.get_by_role("heading", name="How that is worked out")).to_be_visible()


def test_a_month_ends_when_it_is_midnight_where_somebody_is(page: Page, desk: Desk) -> None:
    begun = datetime.datetime.now(datetime.UTC).replace(day=1, hour=0, minute=0, second=0)
    late = begun - datetime.timedelta(minutes=30)
    ledger = Ledger(desk.database, Ages(minutes_s=60 * 86_400))
    count(ledger, late.timestamp(), [answers("rehydrated", 1_000_000)])
    nothing = page.get_by_text("Nothing was counted in this month.")
    # In Berlin it was the next month already; in New York, as in UTC, the one before.
    for zone, counted, empty in (
        ("UTC", late, begun),
        ("America/New_York", late, begun),
        ("Europe/Berlin", begun, late),
    ):
        page.goto(f"/dashboard/statement?month={counted:%Y-%m}&zone={zone}")
        expect(page.locator(".statement .large .money")).to_have_text("$2.50")
        page.goto(f"/dashboard/statement?month={empty:%Y-%m}&zone={zone}")
        expect(nothing).to_be_visible()


def test_a_statement_is_printed_dark_on_white_by_whoever_reads_white_on_dark(
    page: Page, ledger: Ledger
) -> None:
    count(ledger, time.time(), some_of_everything())
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(f"/dashboard/statement?month={datetime.datetime.now(datetime.UTC):%Y-%m}")
    words = page.locator(".statement tbody th").first
    assert words.evaluate("one => getComputedStyle(one).color") == "rgb(29, 28, 26)"
    assert page.locator("body").evaluate("one => getComputedStyle(one).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


def test_figures_move_without_reloading(page: Page, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard")
    page.evaluate("document.body.dataset.same = 'yes'")
    before = page.locator("[data-headline=month] .large .money").inner_text()
    count(ledger, time.time(), [answers("rehydrated", 900_000)], worker="edge-2")
    expect(page.locator("[data-headline=month] .large .money")).not_to_have_text(
        before, timeout=20_000
    )
    assert page.evaluate("document.body.dataset.same") == "yes"
    expect(page.locator("#chart-days canvas")).to_have_count(1)


def test_what_if_is_computed_as_the_api_does(page: Page, api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    page.goto("/dashboard")
    net = page.locator("#would-be [data-would-be=USD] h3 .money")
    (month,) = api("viewer").get("/api/v1/savings").json()["month"]
    expect(net).to_have_text(money(month["saved"], "USD"))
    slider = page.locator("input[name=per_gb]")
    slider.evaluate("one => { one.value = 0.15; one.dispatchEvent(new Event('input')); }")
    slider.dispatch_event("input", {"bubbles": True})
    changed = api("viewer").get("/api/v1/what-if", params={"per_gb": 0.15}).json()
    expect(net).to_have_text(money(changed["would_be"][0]["saved"], "USD"))
    # Three times the price: hauls, records and models are worth three times as much.
    by_hand = month["saved"] + 2 * (month["haul_avoided"] - month["sync"] - month["models"])
    assert changed["would_be"][0]["saved"] == pytest.approx(by_hand)
    page.get_by_role("button", name="As it was").click()
    expect(net).to_have_text(money(month["saved"], "USD"))


def test_a_loss_is_red_and_explained(page: Page, ledger: Ledger) -> None:
    rows: list[Row] = [
        answers("rehydrated", 10),
        work(10, 0.2, device="h200"),
        held(60.0, device="h200"),
    ]
    count(ledger, time.time(), rows)
    page.goto("/dashboard")
    verdict = page.locator(".verdict[data-loss]")
    expect(verdict).to_contain_text("A loss: this month rehydration cost")
    expect(verdict).to_contain_text("went into machines that waited")
    card = page.locator("[data-headline=month][data-loss] .large .money")
    red, plain = (
        where.evaluate("one => getComputedStyle(one).color") for where in (card, page.locator("h1"))
    )
    assert red == "rgb(162, 48, 28)" and red != plain
    expect(card).to_have_text("−$0.05")


def test_the_first_day_says_what_will_stand_there(page: Page) -> None:
    page.goto("/dashboard")
    page.get_by_role("heading", name="The first day").wait_for()
    expect(page.locator(".verdict")).to_have_count(0)


def test_the_page_is_there_for_everybody(page: Page, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    pages = ("", "/statement", "/policy?property=rumba", "/prices", "/rows/usage")
    for path in (f"/dashboard{one}" for one in pages):
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(path)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        page.set_viewport_size({"width": 1280, "height": 860})
        issues = Axe().run(page).response["violations"]
        serious = [one["id"] for one in issues if one["impact"] in ("serious", "critical")]
        assert serious == [], f"{path}: {issues}"
