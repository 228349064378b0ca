"""A number's link leads to just the rows that it is computed from."""

import html
import re
import time
from collections.abc import Callable

import httpx2
import pytest

from kvsync.ledger import Crossed, Row, Work
from origin.console.tables import Role
from origin.dashboard.words import count as told
from origin.ledger.intake import Ledger
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.tables import DEVICE_PARTS
from tests.origin.dashboard.ledger_world import (
    ASIA,
    EUROPE,
    FAMILY,
    SHOP,
    answers,
    count,
    held,
    loading,
    some_of_everything,
    work,
)

Api = Callable[[Role], httpx2.Client]
Sums = dict[str, float]


@pytest.fixture
def viewer(api: Api, ledger: Ledger) -> httpx2.Client:
    """Reads a ledger of two regions and the origin, and of two families."""
    odd: list[Row] = [
        loading(4.0),
        answers("origin", 2, reason="fingerprint"),
        answers("origin", 3, reason="fingerprint", family="boots"),
        answers("origin", 40, reason="haul"),
        answers("replica", 50),
        Crossed(SHOP, "/rumba/new-red.jpg", "region", 7, 350_000),
    ]
    count(ledger, time.time(), [*some_of_everything(), *odd])
    count(ledger, time.time(), [answers("rehydrated", 9), work(9, 3.0), held(60.0)], region=EUROPE)
    drawn = Work("cpu", SHOP, FAMILY, "qa", 80, 100.0, 0.0, 0.0, 0.0)
    count(ledger, time.time(), [drawn, held(360.0)], region=THE_ORIGIN)
    return api("viewer")


def behind(client: httpx2.Client, link: str) -> Sums:
    """What the rows behind a link add up to."""
    where = html.unescape(link).replace("/dashboard/rows/", "/api/v1/ledger/")
    sums: Sums = client.get(where).raise_for_status().json()["sums"]
    return sums


def links(page: str) -> list[tuple[str, str]]:
    """Where each number of a page leads, and the number."""
    return re.findall(r'<a href="(/dashboard/rows/[^"]+)"[^>]*>([^<]*)</a>', page)


@pytest.mark.parametrize("asked", ["", "region=asia-east", "region=the+origin"])
def test_seconds_behind_a_cost_are_those_that_are_paid(viewer: httpx2.Client, asked: str) -> None:
    page = viewer.get(f"/dashboard?{asked}").text
    (month,) = viewer.get(f"/api/v1/savings?{asked}").json()["month"]
    (card,) = re.findall(r'data-headline="month".*?</li>', page, re.S)
    link = {part: of for of, part in re.findall(r'<a href="([^"]+)" data-part="(\w+)"', card)}
    busy = sum(behind(viewer, link["busy"])[name] for name in DEVICE_PARTS)
    waited = behind(viewer, link["idle"])["allocated_s"] - busy
    approval = behind(viewer, link["qa"])
    assert month["busy"] == pytest.approx(busy / 3600 * 0.04)
    assert month["idle"] == pytest.approx(waited / 3600 * 0.04)
    assert month["qa"] == pytest.approx(approval.get("allocated_s", 0.0) / 3600 * 0.04)


def test_counts_behind_a_link_are_the_number_on_it(viewer: httpx2.Client) -> None:
    counted = {"reason=": "misses", "/crossed": "misses"}
    for path in ("/dashboard", "/dashboard/policy?range=today"):
        checked = 0
        for link, number in links(viewer.get(path).text):
            name = next((counted[sign] for sign in counted if sign in link), None)
            if name is None or not re.fullmatch(r"[\d,]+", number):
                continue
            assert told(behind(viewer, link)[name]) == number, link
            checked += 1
        assert checked >= 2


def test_what_no_family_has_a_part_in_is_no_number_of_a_family(viewer: httpx2.Client) -> None:
    page = viewer.get(f"/dashboard?region={ASIA}").text
    (row,) = re.findall(rf"<tr><th scope=\"row\">{SHOP}/{FAMILY}</th>.*?</tr>", page, re.S)
    assert row.count("–") == len(("sync", "models", "replicas", "storage"))


def test_rows_may_be_asked_for_by_what_they_are_not(viewer: httpx2.Client) -> None:
    page = viewer.get("/dashboard/rows/held?not_region=the+origin").text
    assert "without region the origin" in page and "<td>the origin</td>" not in page
    csv = viewer.get("/dashboard/rows/held.csv?not_region=the+origin").text
    assert ASIA in csv and THE_ORIGIN not in csv
    refused = viewer.get("/api/v1/ledger/held?not_reason=haul")
    assert refused.status_code == 422 and "have no reason" in refused.text
