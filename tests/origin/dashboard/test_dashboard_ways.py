"""What is ahead by the ledger, the policy that follows from it, and who may choose one."""

import datetime
import time
from collections.abc import Callable
from functools import partial

import httpx2
import msgspec
import pytest
from sqlalchemy import select

from kvsync.ledger import Row
from kvsync.property import Ways
from origin.console.desk import Desk
from origin.console.tables import Role
from origin.dashboard.policy import Deciding
from origin.dashboard.words import grain, money
from origin.economics.chosen_books import choose_book
from origin.economics.price_book import preset
from origin.ledger.intake import Ledger
from origin.sync.ways import set_ways, ways_of
from origin.tables import AssetRow, AuditRow
from tests.origin.dashboard.ledger_world import (
    ASIA,
    EUROPE,
    FAMILY,
    SHOP,
    answers,
    count,
    held,
    loading,
    work,
)

Api = Callable[[Role], httpx2.Client]
IMAGES = 216


@pytest.fixture
def described(desk: Desk) -> Desk:
    """The family's images are known."""
    with desk.database.writing() as session:
        for number in range(IMAGES):
            session.add(
                AssetRow(
                    property=SHOP,
                    path=f"/{SHOP}/{number}.jpg",
                    key=number.to_bytes(16, "big"),
                    family=FAMILY,
                    validator='"1"',
                    digest=bytes(32),
                    media_type="image/jpeg",
                    size=50_000,
                    attributes={},
                )
            )
    return desk


def some_misses(ledger: Ledger) -> None:
    """The same in each of the last twelve hours."""
    for hour in range(12):
        rows: list[Row] = [answers("rehydrated", 25_000), work(25_000, 500.0), held(3_600.0)]
        count(ledger, time.time() - 3_600 * hour, rows)


def test_a_small_gallery_is_told_to_be_kept(api: Api, described: Desk, ledger: Ledger) -> None:
    some_misses(ledger)
    (family,) = api("viewer").get(f"/api/v1/properties/{SHOP}/ways").json()["families"]
    assert family["cheapest"] == "replica" and "Keep a replica" in family["saying"]
    (there,) = family["regions"]
    assert there["region"] == ASIA and there["images_per_s"] == pytest.approx(50)
    assert there["inventory_bytes"] == IMAGES * 50_000
    # Keeping 10.8 MB costs a quarter of a millidollar a month.
    assert family["replica"] == pytest.approx(IMAGES * 50_000 / 1e9 * 0.023)
    assert family["haul"] == pytest.approx(there["misses"] * 50_000 / 1e9 * 0.05)
    assert there["replica_from_misses"] == pytest.approx(0.023 / 0.05)
    assert there["rehydrate_from_misses"] > there["replica_from_misses"]
    assert there["rehydrate_from_images"] > 1_000_000
    assert family["resilience"] > family["rehydrate"] > family["economical"]
    page = api("viewer").get("/dashboard").text
    assert "the honest answer is a replica" in page
    assert "all 216 images are 10.8 MB together, and keeping them costs $0.00025 a month" in page


def test_a_machine_that_makes_one_family_is_paid_whole(
    api: Api, described: Desk, ledger: Ledger
) -> None:
    some_misses(ledger)
    count(ledger, time.time(), [loading(4.0)], worker="gpu-1")
    ask = partial(api("viewer").get, f"/api/v1/properties/{SHOP}/ways")
    (alone,) = ask().json()["families"][0]["regions"]
    assert (alone["shared"], alone["hosts"]) == (False, 1.0)
    assert alone["rehydrate"] == pytest.approx(720 * 0.04, rel=1e-3)
    boots: list[Row] = [
        answers("rehydrated", 9_000, family="boots"),
        work(9_000, 60.0, family="boots"),
    ]
    count(ledger, time.time(), boots, worker="gpu-2")
    (with_boots,) = next(
        one["regions"] for one in ask().json()["families"] if one["family"] == FAMILY
    )
    assert with_boots["shared"] and with_boots["hosts"] < 1.0


def test_sums_of_two_currencies_are_not_told(api: Api, described: Desk, ledger: Ledger) -> None:
    some_misses(ledger)
    count(ledger, time.time(), [answers("rehydrated", 9_000), work(9_000, 60.0)], region=EUROPE)
    euros = msgspec.structs.replace(preset("seed"), name="mine", currency="EUR")
    today = datetime.datetime.now(datetime.UTC).date()
    with described.database.writing() as session:
        choose_book(session, "", EUROPE, euros, today, "admin", today)
    client = api("viewer")
    (family,) = client.get(f"/api/v1/properties/{SHOP}/ways").json()["families"]
    assert (family["haul"], family["economical"], family["cheapest"]) == (None, None, "")
    assert {one["currency"] for one in family["regions"]} == {"USD", "EUR"}
    past = client.get("/api/v1/policies").json()["families"]
    assert sorted(one["currency"] for one in past) == ["EUR", "USD"]
    month = client.get("/api/v1/savings").json()["month"]
    assert sorted(one["currency"] for one in month) == ["EUR", "USD"]
    for path in ("/dashboard", "/dashboard/policy", "/dashboard/statement"):
        assert client.get(path).status_code == 200


def test_what_was_never_made_has_no_price(api: Api, described: Desk, ledger: Ledger) -> None:
    count(ledger, time.time(), [answers("origin", 100, reason="no-record")])
    (family,) = api("viewer").get(f"/api/v1/properties/{SHOP}/ways").json()["families"]
    assert family["rehydrate"] is None and "No machine has made its pictures" in family["saying"]


def test_an_approver_chooses_a_policy_which_edges_and_the_audit_are_told(
    api: Api, described: Desk, ledger: Ledger
) -> None:
    some_misses(ledger)
    path = f"/api/v1/properties/{SHOP}/families/{FAMILY}/policy"
    assert api("operator").put(path, json={"policy": "economical"}).status_code == 403
    told = api("approver").put(path, json={"policy": "economical"})
    assert told.status_code == 200 and told.json()["changed"], told.text
    ways = ways_of(described.database, described.origin.properties_dir, SHOP)
    assert ways[FAMILY] == Ways("economical", "replica")
    with described.database.reading() as session:
        row = session.scalars(select(AuditRow).where(AuditRow.what == "policy")).one()
    assert (row.who, row.subject) == ("approver", f"{SHOP}/{FAMILY}")
    assert row.detail == {"policy": "economical", "way": "replica"}
    for policy in ("resilience", "always"):
        assert api("approver").put(path, json={"policy": policy}).status_code == 200
        ways = ways_of(described.database, described.origin.properties_dir, SHOP)
        assert ways.get(FAMILY, Ways()) == Ways(policy)


def test_what_there_is_not_cannot_be_chosen(api: Api, described: Desk) -> None:
    client = api("approver")
    for property, family, policy in (
        (SHOP, FAMILY, "cheap"),
        (SHOP, "sandals", "always"),
        ("nobody", FAMILY, "always"),
    ):
        path = f"/api/v1/properties/{property}/families/{family}/policy"
        assert client.put(path, json={"policy": policy}).status_code in (404, 422)


def test_economical_families_follow_the_forecast(described: Desk, ledger: Ledger) -> None:
    properties = described.origin.properties_dir
    set_ways(described.database, properties, SHOP, {FAMILY: Ways("economical", "rehydrate")})
    deciding = Deciding(described.database, properties, preset("seed"), "UTC")
    assert deciding.decide(SHOP) == {}, "nothing is known yet"
    some_misses(ledger)
    assert deciding.decide(SHOP) == {FAMILY: "replica"}
    assert ways_of(described.database, properties, SHOP)[FAMILY].way == "replica"
    assert deciding.decide(SHOP) == {}, "told once"


def test_an_admin_chooses_prices_from_today_on(api: Api, ledger: Ledger, desk: Desk) -> None:
    from tests.origin.console.visitor import Visitor

    count(ledger, time.time(), [answers("rehydrated", 1_000_000)])
    visitor = Visitor(str(api("admin").base_url))
    visitor.log_in("admin", "correct horse battery")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    asked: dict[str, object] = {"since": today, "name": "s3-regions", "property": SHOP}
    assert visitor.post("/dashboard/prices", asked).status_code == 303
    (month,) = api("viewer").get("/api/v1/savings").json()["month"]
    assert month["haul_avoided"] == pytest.approx(1_000_000 * (50e3 / 1e9 * 0.02 + 0.4 / 1e6))
    (setting,) = api("viewer").get("/api/v1/prices").json()["settings"]
    assert (setting["since"], setting["book"]["name"]) == (None, "seed")
    wrong: dict[str, object] = {"since": today, "toml": "currency = 'dollars'"}
    assert "not a price book" in visitor.post("/dashboard/prices", wrong).text
    visitor.http.close()


def test_the_first_hour_is_told_from_the_minutes_that_it_has(
    api: Api, described: Desk, ledger: Ledger
) -> None:
    for minute in range(60):
        rows: list[Row] = [answers("rehydrated", 100), work(100, 2.0), held(60.0)]
        count(ledger, time.time() - 60 * minute, rows)
    client = api("viewer")
    (family,) = client.get(f"/api/v1/properties/{SHOP}/ways").json()["families"]
    (there,) = family["regions"]
    assert there["misses"] == pytest.approx(6_000 * 720, rel=0.02)
    assert there["peak"] < 2
    what_if = client.get("/api/v1/what-if", params={"range": "today"}).json()
    assert what_if["given"]["machines"] == pytest.approx(1.0, rel=0.05)


def test_a_statement_compares_three_ways_to_serve_the_month(
    api: Api, described: Desk, ledger: Ledger
) -> None:
    some_misses(ledger)
    client = api("viewer")
    month = {"month": time.strftime("%Y-%m", time.gmtime())}
    page = client.get("/dashboard/statement", params=month).text
    assert "Of the three ways a replica would have cost the least" in page
    (told,) = client.get("/api/v1/policies").json()["families"]
    least = grain(told[way] for way in ("always", "economical", "resilience", "haul", "replica"))
    for way in ("haul", "always"):
        assert money(told[way], "USD", least) in page


def test_a_family_is_priced_by_the_machine_that_makes_it(
    api: Api, described: Desk, ledger: Ledger
) -> None:
    count(ledger, time.time(), [held(3_600.0), held(600.0, "h200")])
    made: list[Row] = [answers("rehydrated", 9_000), work(9_000, 60.0, device="h200")]
    others: list[Row] = [
        answers("rehydrated", 9_000, family="boots"),
        work(9_000, 300.0, family="boots"),
    ]
    count(ledger, time.time(), [*made, *others], worker="edge-2")
    client = api("viewer")
    families = client.get(f"/api/v1/properties/{SHOP}/ways").json()["families"]
    (there,) = next(one["regions"] for one in families if one["family"] == FAMILY)
    assert (there["device"], there["images_per_s"], there["shared"]) == ("h200", 150, False)
    past = client.get("/api/v1/policies", params={"range": "today"}).json()["families"]
    (mine,) = [one for one in past if one["family"] == FAMILY]
    assert mine["always"] == pytest.approx(600 / 3600 * 3.0)


def test_what_if_compares_three_ways_to_answer_the_same_misses(
    api: Api, described: Desk, ledger: Ledger
) -> None:
    for minute in range(60):
        rows: list[Row] = [answers("rehydrated", 100), work(100, 2.0), held(60.0)]
        count(ledger, time.time() - 60 * minute, rows)
    client = api("viewer")
    asked: dict[str, str | float] = {"range": "year", "per_gb": 0.10}
    (ways,) = client.get("/api/v1/what-if", params=asked).json()["ways"]
    assert ways["haul"] == pytest.approx(6_000 * 50_000 / 1e9 * 0.10)
    kept = IMAGES * 50_000 / 1e9 * 0.023
    assert ways["replica"] == pytest.approx(kept * 3_600 / (30 * 86_400), rel=0.05)
    assert ways["made"] == pytest.approx(0.04, rel=0.05)
    assert ways["cheapest"] == "replica"
    page = client.get("/dashboard/what-if", params=asked).text
    assert "A replica is cheapest" in page


def test_without_originals_what_if_knows_no_replica(api: Api, ledger: Ledger) -> None:
    count(ledger, time.time(), [answers("rehydrated", 100), work(100, 2.0), held(60.0)])
    (ways,) = api("viewer").get("/api/v1/what-if", params={"range": "year"}).json()["ways"]
    assert ways["replica"] is None and ways["cheapest"] in ("haul", "made")
