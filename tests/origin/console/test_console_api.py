"""What the pages do, done by programs with a token."""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from kvsync.ledger import BOUNDS_S, Answers, Minute
from origin.console import decisions
from origin.console.desk import Desk
from origin.console.tables import Role
from origin.ledger.intake import Ledger
from origin.sync.tokens import admit

Api = Callable[[Role], httpx2.Client]
HERE = "asia-east"


@pytest.fixture
def approver(drawn: Desk, api: Api) -> httpx2.Client:
    """Three candidates are proposed, the first of them approved; a region was admitted."""
    client = api("approver")
    one = client.get("/properties/rumba/candidates").json()["candidates"][0]
    client.post(f"/candidates/{one['id']}/decision", json={"verdict": "approved"})
    return client


@pytest.fixture
def region(desk: Desk) -> object:
    admit(desk.origin.region_tokens, HERE, ["rumba"])
    yield HERE
    desk.origin.region_tokens.unlink()


def test_a_canary_is_watched_put_everywhere_and_rolled_back(
    approver: httpx2.Client, region: str, desk: Desk
) -> None:
    done = approver.post("/properties/rumba/publish", json={"region": region}).json()
    number = done["publication"]
    live = approver.get("/properties/rumba/live").json()
    assert [one["kind"] for one in live["records"]] == ["canary"] and live["waiting"] == 0
    assert approver.get(f"/publications/{number}/counts").json()[0]["answers"] == 0
    assert approver.post(f"/publications/{number}/everywhere").json()["signed"] == done["signed"]
    (listed,) = approver.get("/properties/rumba/publications").json()
    assert listed["everywhere_at"] and not listed["canary"]
    assert approver.post(f"/publications/{number}/roll-back").json()["revoked"] == 1
    again = approver.post(f"/publications/{number}/roll-back")
    assert again.status_code == 422 and "already" in again.json()["detail"]


def test_a_canarys_drift_and_faults_are_counted_by_the_ledger(
    approver: httpx2.Client, region: str, desk: Desk
) -> None:
    done = approver.post("/properties/rumba/publish", json={"region": region}).json()
    start = (int(time.time()) // 60 + 1) * 60
    rows = tuple(
        _answers(outcome, reason, count)
        for outcome, reason, count in (
            ("rehydrated", "", 90),
            ("origin", "fingerprint", 4),
            ("origin", "busy", 3),
            ("origin", "no-record", 50),
            ("error", "origin", 1),
        )
    )
    Ledger(desk.database).take(region, ["rumba"], [Minute("edge", start, rows)], time.time())
    (found,) = approver.get(f"/publications/{done['publication']}/counts").json()
    assert found == {"region": region, "answers": 148, "drift": 4, "errors": 4}


def _answers(outcome: str, reason: str, count: int) -> Answers:
    buckets = (count, *(0 for _ in BOUNDS_S))
    return Answers("rumba", "rumba", outcome, reason, count, 0, 0, 0, 0, 0.0, 0.0, buckets)


def test_a_sample_is_drawn_judged_and_kept(
    approver: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = approver.post("/sets/1/sample", json={"least_score": 80, "most_delta_e": 9, "count": 5})
    assert drawn.status_code == 201 and drawn.json()["waiting"] == 0
    number = drawn.json()["id"]
    assert approver.post(f"/samples/{number}/approve").status_code == 422
    for one in drawn.json()["candidates"]:
        approver.post(f"/candidates/{one['id']}/decision", json={"verdict": "approved"})
    assert approver.get("/sets/1/sample").json()["passed"]
    assert approver.post(f"/samples/{number}/approve").json() == {"approved": 0}
    assert approver.get("/sets/1/sample").json()["closed_at"]
    assert decisions.LEAST_SAMPLE == 5


def test_a_decision_is_undone_and_commented(approver: httpx2.Client, api: Api) -> None:
    undone = approver.post("/undo").json()
    assert undone["state"] == "proposed"
    said = approver.post(f"/candidates/{undone['id']}/comments", json={"text": "Look again."})
    assert [one["text"] for one in said.json()] == ["Look again."]
    assert api("viewer").post(f"/candidates/{undone['id']}/comments").status_code == 403


def test_urls_sets_words_and_families_are_told(approver: httpx2.Client) -> None:
    urls = {"urls": ["https://shop/rumba/rumba_red_white_front.jpg?utm_source=x", "/%"]}
    good, bad = approver.post("/properties/rumba/urls", json=urls).json()
    assert good["canonical"] and len(good["key"]) == 32 and bad["fault"]
    assert approver.get("/sets/1").json()["states"] == {"approved": 1, "proposed": 2}
    assert "red" in approver.get("/properties/rumba/families/rumba/words").json()["lace"]
    family = {"name": "fronts", "pattern": "rumba_{lace}_{sole}_front.jpg"}
    made = approver.post("/properties/rumba/families", json=family)
    assert made.status_code == 201 and made.json()["originals"] > 50
    manifest = approver.get("/properties/rumba/families/fronts/manifest").json()
    assert manifest["family"] == "fronts"


def test_a_new_property_is_written_down(api: Api, desk: Desk) -> None:
    asked = {"id": "samba", "hosts": ["www.samba.example"], "like": "rumba"}
    try:
        made = api("admin").post("/properties", json=asked)
        assert made.status_code == 201 and made.json()["id"] == "samba"
        assert api("admin").post("/properties", json=asked).status_code == 422
        assert api("approver").post("/properties", json=asked).status_code == 403
    finally:
        Path(desk.origin.properties_dir, "samba.toml").unlink(missing_ok=True)


def test_an_original_that_is_no_picture_is_refused(api: Api) -> None:
    client = api("operator")
    refused = client.put("/properties/rumba/originals/new.jpg", content=b"<svg/>")
    assert refused.status_code == 422 and "SVG" in refused.json()["detail"]
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    other = client.put("/properties/rumba/originals/new.jpg", content=out.getvalue())
    assert other.headers["content-type"] == "application/problem+json"
    assert "name says JPEG" in other.json()["detail"]
