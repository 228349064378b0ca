"""What the dashboard says over HTTP: pages, API, CSV and metrics tell the same."""

import csv
import html
import io
import re
import time
from collections.abc import Callable
from functools import partial

import httpx2
import pytest

from kvsync.ledger import Work
from origin.console.desk import Desk
from origin.console.tables import Role
from origin.ledger.intake import Ledger
from origin.ledger.own_work import THE_ORIGIN, OwnWork
from tests.origin.dashboard.ledger_world import (
    ASIA,
    FAMILY,
    SHOP,
    answers,
    count,
    held,
    some_of_everything,
)

Api = Callable[[Role], httpx2.Client]
PAGES = (
    "/dashboard",
    "/dashboard/figures",
    "/dashboard/statement",
    "/dashboard/policy",
    "/dashboard/prices",
    "/dashboard/what-if",
    "/dashboard/rows/answers",
    "/dashboard/rows/usage?span=minute",
    "/metrics",
)


@pytest.mark.parametrize("path", PAGES)
def test_pages_stand_before_anything_was_counted(api: Api, path: str) -> None:
    assert api("viewer").get(path).status_code == 200


def test_pages_stand_when_everything_was_counted(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    for path in PAGES:
        answer = api("viewer").get(path)
        assert answer.status_code == 200, f"{path}: {answer.text[:500]}"


def test_parts_add_up_to_the_saving_and_to_a_hand_computation(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    (month,) = api("viewer").get("/api/v1/savings").json()["month"]
    # 3000 images of 50 kB at $0.05/GB; 20 of 60 seconds busy at $0.04 an hour; 1.1 MB sent.
    assert month["haul_avoided"] == pytest.approx(3_000 * 50_000 / 1e9 * 0.05)
    assert month["busy"] == pytest.approx(20 / 3600 * 0.04)
    assert month["idle"] == pytest.approx(40 / 3600 * 0.04)
    assert month["sync"] == pytest.approx(100_000 / 1e9 * 0.05)
    assert month["models"] == pytest.approx(1_000_000 / 1e9 * 0.05)
    assert month["storage"] == pytest.approx(1_102_400 * 60 / 1e9 / (30 * 86_400) * 0.023)
    spent = sum(month[name] for name in ("busy", "idle", "sync", "models", "replicas", "storage"))
    assert month["saved"] == pytest.approx(month["haul_avoided"] - spent)


def test_every_way_of_parting_the_saving_adds_up_to_it(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    parts = api("viewer").get("/api/v1/savings/parts").json()
    (all_,) = parts["all"]
    for by in ("by_day", "by_property", "by_region", "by_family"):
        sums = [one["money"]["saved"] for one in parts[by]]
        assert sum(sums) == pytest.approx(all_["saved"]), by


def test_the_rows_behind_a_number_are_the_same_in_csv_and_json(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    client = api("viewer")
    for table in ("usage", "answers", "work", "held", "carried", "kept", "crossed", "open"):
        told = client.get(f"/api/v1/ledger/{table}", params={"span": "minute"}).json()["rows"]
        text = client.get(f"/dashboard/rows/{table}.csv", params={"span": "minute"}).text
        lines = list(csv.DictReader(io.StringIO(text)))
        assert (
            told and [{name: str(value) for name, value in row.items()} for row in told] == lines
        ), table


def test_metrics_are_the_figures_of_the_api(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    client = api("viewer")
    (month,) = client.get("/api/v1/savings").json()["month"]
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
    named = f'{{currency="USD",property="{SHOP}",region="{ASIA}"}}'
    assert float(lines[f"rehydration_saved_month{named}"]) == pytest.approx(month["saved"])
    assert float(lines['rehydration_saved{currency="USD",period="month"}']) == pytest.approx(
        month["saved"]
    )
    assert float(lines['rehydration_origin_offload_ratio{with="rehydration"}']) == 0.9


def test_what_was_not_changed_is_what_was(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    found = api("viewer").get("/api/v1/what-if").json()
    assert found["would_be"][0] == pytest.approx(found["was"][0])
    dearer = api("viewer").get("/api/v1/what-if", params={"per_gb": 0.5}).json()
    # Ten times the price: hauls, records and models are worth ten times as much.
    for part in ("haul_avoided", "sync", "models"):
        assert dearer["would_be"][0][part] == pytest.approx(10 * dearer["was"][0][part])
    assert dearer["would_be"][0]["busy"] == pytest.approx(dearer["was"][0]["busy"])


def test_each_part_and_share_leads_to_rows_that_sum_to_it(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    client = api("viewer")
    ask = partial(client.get, "/api/v1/ledger/answers")
    kept = ask(params={"outcome": ["rehydrated", "replica"]}).json()["sums"]
    hauled = ask(params={"reason": "no-record"}).json()["sums"]
    assert (kept["misses"], hauled["misses"]) == (3_000, 1_000)
    assert ask(params={"family": "boots"}).json()["rows"] == []
    refused = ask(params={"device": "cpu"})
    assert refused.status_code == 422 and "have no device" in refused.text


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/statement", "/dashboard/policy"])
def test_every_link_to_rows_finds_some(api: Api, desk: Desk, ledger: Ledger, path: str) -> None:
    mismatch = answers("origin", 1, reason="fingerprint")
    count(ledger, time.time(), [*some_of_everything(), mismatch, answers("replica", 5)])
    with OwnWork(desk.database, SHOP, FAMILY) as own:
        own.made(8)
    client = api("viewer")
    links = set(re.findall(r'href="(/dashboard/rows/[^"]+)"', client.get(path).text))
    assert links
    for link in links:
        answer = client.get(html.unescape(link))
        assert answer.status_code == 200, link
        nothing_there = re.search("what=replica|the.origin|purpose=qa|/open", link)
        assert "No row in these days" not in answer.text or nothing_there, link


def test_every_figure_is_in_csv_api_and_metrics(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), some_of_everything())
    client = api("viewer")
    told = client.get("/api/v1/figures").json()["figures"]
    lines = csv.DictReader(io.StringIO(client.get("/dashboard/figures.csv").text))
    assert [{**line, "value": float(line["value"])} for line in lines] == told
    scraped = client.get("/metrics").text
    for one in told:
        named = ",".join(f'{name}="{one[name]}"' for name in ("currency", "figure", "group", "of"))
        assert f"rehydration_figure{{{named}}} " in scraped, one
    groups = {one["group"] for one in told}
    assert groups >= {"saving", "saving by family", "offload", "hauled for", "answered by"}
    assert groups >= {"machine", "crossing", "left alone", "policy"}
    (month,) = client.get("/api/v1/savings").json()["month"]
    values = {(one["group"], one["of"], one["figure"]): one["value"] for one in told}
    assert values["saving", "month", "saved"] == pytest.approx(month["saved"])


def test_policies_answer_the_recorded_days_once_more(api: Api, ledger: Ledger) -> None:
    rows = [*some_of_everything(), answers("origin", 500, reason="haul"), answers("replica", 500)]
    count(ledger, time.time(), rows)
    (one,) = api("viewer").get("/api/v1/policies", params={"range": "today"}).json()["families"]
    assert (one["misses"], one["lost"]) == (4_000, 1_000)
    assert one["haul"] == pytest.approx(5_000 * 50_000 / 1e9 * 0.05)
    # 4000 images at 150 a second take less than the minute that the host was held.
    always = 1_000 * 50_000 / 1e9 * 0.05 + 60 / 3600 * 0.04 + 1.1e6 / 1e9 * 0.05
    assert one["always"] == pytest.approx(always, rel=1e-3)
    # Edges left nothing alone that was the origin, so that it hauled everything and stood by.
    assert one["resilience"] == pytest.approx(
        one["haul"] + 60 / 3600 * 0.04 + 1.1e6 / 1e9 * 0.05, rel=1e-3
    )
    assert one["economical"] == one["always"] and one["economical_days"] == {"rehydrate": 1}
    assert one["replica"] is None  # how many originals there are is not known here


def test_what_is_drawn_for_approval_is_a_part_of_the_cost(
    api: Api, desk: Desk, ledger: Ledger
) -> None:
    count(ledger, time.time(), some_of_everything())
    client = api("viewer")
    (before,) = client.get("/api/v1/savings").json()["month"]
    own = Work("cpu", SHOP, FAMILY, "qa", 80, 100.0, 0.0, 0.0, 0.0)
    count(ledger, time.time(), [own, held(360.0)], region=THE_ORIGIN, worker="worker")
    (after,) = client.get("/api/v1/savings").json()["month"]
    assert (before["qa"], after["qa"]) == (0, pytest.approx(360 / 3600 * 0.04))
    assert after["saved"] == pytest.approx(before["saved"] - after["qa"])
    assert (after["busy"], after["idle"]) == pytest.approx((before["busy"], before["idle"]))
    families = client.get("/api/v1/savings/parts").json()["by_family"]
    assert sum(one["money"]["qa"] for one in families) == pytest.approx(after["qa"])
    dearer = client.get("/api/v1/what-if", params={"machines": 3}).json()
    assert dearer["would_be"][0]["qa"] == pytest.approx(after["qa"])


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/savings?zone=Mars/Olympus",
        "/api/v1/savings?range=century",
        "/api/v1/savings/parts?first=2026-02-02&last=2026-01-01",
        "/api/v1/ledger/answers?span=fortnight",
        "/dashboard/statement?month=2026-13",
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(api: Api, path: str) -> None:
    assert api("viewer").get(path).status_code == 422


def test_who_is_not_logged_in_sees_no_figure(web: str) -> None:
    for path in ("/api/v1/savings", "/api/v1/what-if"):
        assert httpx2.get(web + path).status_code == 401
    assert httpx2.get(web + "/dashboard", follow_redirects=False).status_code == 303
