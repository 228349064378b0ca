"""What the dashboard says over HTTP: pages, API, CSV and metrics tell the same."""

import csv
import io
import time
from collections.abc import Callable

import httpx2
import pytest

from origin.console.tables import Role
from origin.ledger.intake import Ledger
from tests.origin.dashboard.ledger_world import ASIA, SHOP, count, some_of_everything

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
