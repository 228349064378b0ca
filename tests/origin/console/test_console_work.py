"""From a prompt set to live records and back, over the API and the pages, with the real model."""

from collections.abc import Callable
from io import BytesIO

import httpx2
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update

from kvsync.errors import InputError
from origin.console import decisions, publishing
from origin.console.accounts import Person
from origin.console.decisions import approve_rest, draw_sample, undo
from origin.console.desk import Desk
from origin.console.jobs import Jobs
from origin.console.queue import Wanted, page_of, view_of
from origin.console.tables import JobRow, PromptRow, Role, SampleRow
from origin.tables import AuditRow, CandidateRow
from tests.origin.console.conftest import PROMPTS
from tests.origin.console.visitor import Visitor

RED = "/rumba/rumba_red_white_front.jpg"
Api = Callable[[Role], httpx2.Client]
Do = Callable[[int], None]


@pytest.fixture
def made(drawn: Desk, api: Api) -> httpx2.Client:
    """An approver's client, with three candidates proposed."""
    return api("approver")


def candidates(client: httpx2.Client, state: str = "proposed") -> list[dict[str, object]]:
    answer = client.get("/properties/rumba/candidates", params={"state": state})
    rows: list[dict[str, object]] = answer.json()["candidates"]
    return rows


def test_a_preview_says_what_would_go_in_and_writes_nothing(api: Api, desk: Desk) -> None:
    text = PROMPTS + "purple lace, white sole, front view\n"
    answer = api("operator").post(
        "/properties/rumba/families/rumba/preview", json={"name": "one.txt", "text": text}
    )
    body = answer.json()
    assert (body["new"], body["wrong"]) == (3, 1)
    assert body["wrong_rows"][0]["line"] == 4 and "purple" in body["wrong_rows"][0]["why"]
    with desk.database.reading() as session:
        assert session.query(PromptRow).count() == 0


def test_candidates_that_came_without_a_set_are_gathered_into_one(drawn: Desk, api: Api) -> None:
    operator = api("operator")
    refused = operator.post("/properties/rumba/families/rumba/gather")
    assert refused.status_code == 422 and "in a set already" in refused.text
    with drawn.database.writing() as session:
        session.execute(update(PromptRow).values(candidate_id=None))
    number = operator.post("/properties/rumba/families/rumba/gather").json()["id"]
    assert operator.get(f"/sets/{number}").json()["states"] == {"proposed": 3}
    assert page_of(drawn, Wanted("rumba", set_id=number), 1).total == 3


def test_candidates_are_measured_by_attribute(made: httpx2.Client) -> None:
    rows = candidates(made)
    assert len(rows) == 3
    for row in rows:
        assert float(str(row["ssimulacra2"])) > 85
        assert isinstance(row["region_delta_e"], dict)
        assert row["region_delta_e"].keys() >= {"lace", "sole"}
    assert any("Seed: 7" in str(row["recipe"]) for row in rows)


def test_the_most_doubtful_comes_first_and_the_queue_is_walked_both_ways(
    made: httpx2.Client, desk: Desk
) -> None:
    wanted = Wanted("rumba")
    rows = page_of(desk, wanted, 1).rows
    doubts = [row.doubt for row in rows]
    assert doubts == sorted(doubts, reverse=True)
    first, second, third = (view_of(desk, row.id, wanted) for row in rows)
    assert (first.previous, first.following) == (None, rows[1].id)
    assert (second.previous, second.following) == (rows[0].id, rows[2].id)
    assert third.following is None


def test_rejecting_takes_a_reason_and_teaches_the_next_fit(
    made: httpx2.Client, desk: Desk, jobs: Jobs, do_job: Do, person: Callable[[Role], Person]
) -> None:
    row = candidates(made)[0]
    url = f"/candidates/{row['id']}/decision"
    assert made.post(url, json={"verdict": "rejected"}).status_code == 422
    said = {"verdict": "rejected", "reason": "wrong colour"}
    assert made.post(url, json=said).json()["state"] == "rejected"
    with desk.database.writing() as session:
        prompt = session.scalars(select(PromptRow).where(PromptRow.candidate_id == row["id"])).one()
        prompt.state, prompt.seed = "waiting", None
        set_id = prompt.set_id
    do_job(jobs.start(set_id, 2, 80.0, person("operator")))
    # The model does not listen to its seed here, so all it could draw is what was rejected.
    with desk.database.reading() as session:
        again = session.get_one(PromptRow, prompt.id)
        assert (again.state, again.candidate_id) == ("failed", None)
        assert "was rejected (wrong colour)" in again.reason


def test_the_worst_metric_of_all_decides_the_order_and_is_told(
    made: httpx2.Client, desk: Desk
) -> None:
    numbers = [int(str(row["id"])) for row in candidates(made)]
    figures = (
        {"ssimulacra2": 84.0, "region_delta_e": {"lace": 0.1, "sole": 0.2}, "psnr": 45.0},
        {"ssimulacra2": 99.0, "region_delta_e": {"lace": 0.1, "sole": 2.4}, "psnr": 45.0},
        {"ssimulacra2": 99.0, "region_delta_e": {"lace": 0.1, "sole": 0.2}, "psnr": 32.0},
    )
    with desk.database.writing() as session:
        for number, one in zip(numbers, figures, strict=True):
            for name, value in one.items():
                setattr(session.get_one(CandidateRow, number), name, value)
    rows = candidates(made)
    assert [row["id"] for row in rows] == [numbers[1], numbers[2], numbers[0]]
    assert [row["doubted_for"] for row in rows] == [
        "sole is ΔE 2.40 off, where 2.5 is the most",
        "32.0 dB, where 30 is the least",
        "score 84.0, where 80 is the least",
    ]
    assert [row["doubt"] for row in rows] == pytest.approx([0.96, 0.9, 0.8])


def test_a_decision_can_be_undone(
    made: httpx2.Client, desk: Desk, person: Callable[[Role], Person]
) -> None:
    row = candidates(made)[0]
    made.post(f"/candidates/{row['id']}/decision", json={"verdict": "approved"})
    assert undo(desk, person("approver")).state == "proposed"
    with pytest.raises(InputError, match="nothing to undo"):
        undo(desk, person("approver"))


def test_many_are_approved_only_after_a_sample_was_looked_at(
    made: httpx2.Client,
    desk: Desk,
    person: Callable[[Role], Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decisions, "LEAST_SAMPLE", 2)
    judge = person("approver")
    sample = draw_sample(desk, 1, 80.0, 5.0, 2, judge)
    with pytest.raises(InputError, match="2 not looked at"):
        approve_rest(desk, sample, judge)
    found = decisions.newest_sample(desk, 1)
    assert found is not None and found.waiting == 1
    for one in found.row.candidates:
        made.post(f"/candidates/{one}/decision", json={"verdict": "approved"})
    assert approve_rest(desk, sample, judge) == 1
    kept = decisions.newest_sample(desk, 1)
    assert kept is not None and len(kept.row.approved) == 1 and kept.row.closed_at
    (evidence,) = made.get("/sets/1/evidence").json()
    assert (evidence["by"], evidence["approved"]) == ("approver", 1)
    assert evidence["looked_at"] == found.row.candidates


def test_a_sample_that_another_took_along_is_no_evidence(
    made: httpx2.Client,
    desk: Desk,
    person: Callable[[Role], Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decisions, "LEAST_SAMPLE", 1)
    judge = person("approver")
    samples = [draw_sample(desk, 1, 80.0, 5.0, 1, judge) for _ in range(12)]
    with desk.database.reading() as session:
        drawn = {one: session.get_one(SampleRow, one).candidates[0] for one in samples}
    first, other = next((a, b) for a in drawn for b in drawn if drawn[a] != drawn[b])
    made.post(f"/candidates/{drawn[first]}/decision", json={"verdict": "approved"})
    approve_rest(desk, first, judge)
    with pytest.raises(InputError, match="approved behind another"):
        approve_rest(desk, other, judge)


def test_published_revoked_and_rolled_back(
    made: httpx2.Client, desk: Desk, person: Callable[[Role], Person]
) -> None:
    for row in candidates(made):
        made.post(f"/candidates/{row['id']}/decision", json={"verdict": "approved"})
    first = made.post("/properties/rumba/publish", json={"set_id": 1}).json()
    assert RED in first["signed"] and len(first["signed"]) == 2 or len(first["signed"]) == 3
    live = made.get("/properties").json()[0]["families"][0]["live"]
    assert live == len(first["signed"])
    revoked = made.post("/properties/rumba/revoke", json={"path": RED, "reason": "a test"})
    assert revoked.json()["revoked"] == [RED]
    back = publishing.roll_back(desk, first["publication"], person("approver"))
    assert back[:2] == (0, len(first["signed"]) - 1)
    with pytest.raises(InputError, match="rolled back already"):
        publishing.roll_back(desk, first["publication"], person("approver"))


def test_a_roll_back_brings_what_was_live_before(
    made: httpx2.Client, desk: Desk, person: Callable[[Role], Person]
) -> None:
    judge = person("approver")
    (old,) = [row for row in candidates(made) if row["path"] == RED]
    made.post(f"/candidates/{old['id']}/decision", json={"verdict": "approved"})
    made.post("/properties/rumba/publish", json={})
    with desk.database.writing() as session:
        row = session.get_one(CandidateRow, old["id"])
        values = {
            column.name: getattr(row, column.name)
            for column in CandidateRow.__table__.columns
            if column.name not in ("id", "doubt", "worst_delta_e")
        }
        values |= {"recipe": row.recipe[:-1] + b"\x00", "decided_at": (row.decided_at or 0) + 5}
        session.add(new := CandidateRow(**(values | {"recipe": _other_seed(row.recipe)})))
        session.flush()
        new_id = new.id
    later = made.post("/properties/rumba/publish", json={}).json()
    assert later["signed"] == [RED]
    assert publishing.roll_back(desk, later["publication"], judge)[:2] == (1, 0)
    with desk.database.reading() as session:
        assert session.get_one(CandidateRow, new_id).state == "proposed"
        assert session.get_one(CandidateRow, old["id"]).state == "approved"
    assert view_of(desk, int(str(old["id"])), Wanted("rumba", "any")).live


def _other_seed(recipe: bytes) -> bytes:
    import msgspec

    from kvsync.record import PromptRecipe, Recipe

    found: PromptRecipe = msgspec.msgpack.decode(recipe, type=Recipe)
    return msgspec.msgpack.encode(msgspec.structs.replace(found, seed=99))


def test_the_audit_tells_who_did_what_from_what_to_what(made: httpx2.Client, desk: Desk) -> None:
    row = candidates(made)[0]
    made.post(f"/candidates/{row['id']}/decision", json={"verdict": "approved"})
    entry = made.get("/audit", params={"what": "approve"}).json()[0]
    assert (entry["who"], entry["subject"]) == ("approver", row["path"])
    assert entry["detail"]["from"] == "proposed" and entry["detail"]["to"] == "approved"
    with desk.database.writing() as session, pytest.raises(Exception, match="audit"):
        session.query(AuditRow).delete()
        session.flush()


def test_a_job_is_paused_goes_on_and_survives_its_worker(
    api: Api, desk: Desk, jobs: Jobs, do_job: Do, person: Callable[[Role], Person]
) -> None:
    client = api("operator")
    upload = {"name": "one.txt", "text": PROMPTS}
    set_id = client.post("/properties/rumba/families/rumba/sets", json=upload).json()["id"]
    job_id = jobs.start(set_id, 1, 80.0, person("operator"))
    assert client.post(f"/jobs/{job_id}/pause").json()["state"] == "paused"
    do_job(job_id)
    assert jobs.find(job_id).done == 0
    client.post(f"/jobs/{job_id}/resume")
    with desk.database.writing() as session:
        # As a worker that was killed in the middle leaves it.
        session.get_one(JobRow, job_id).state = "running"
    do_job(job_id)
    assert jobs.find(job_id).state == "done" and jobs.find(job_id).done == 3
    assert client.post(f"/jobs/{job_id}/cancel").status_code == 422


def test_pictures_are_drawn_for_the_eye(
    made: httpx2.Client, logged_in: Callable[[Role], Visitor]
) -> None:
    visitor = logged_in("viewer")
    number = candidates(made)[0]["id"]
    drawn = {}
    for kind in ("original", "generated", "difference", "errors", "thumb"):
        answer = visitor.get(f"/candidates/{number}/{kind}.webp")
        assert answer.headers["content-type"] == "image/webp"
        drawn[kind] = np.asarray(Image.open(BytesIO(answer.content)).convert("RGB"))
    assert drawn["thumb"].shape == (256, 256, 3)
    far = np.abs(drawn["original"].astype(int) - drawn["generated"]).mean()
    assert 0 < far < 3
    assert abs(drawn["difference"].mean() - 128) < 3


def test_every_page_opens(made: httpx2.Client, logged_in: Callable[[Role], Visitor]) -> None:
    visitor = logged_in("admin")
    number = candidates(made)[0]["id"]
    pages = ["/", "/p/rumba", "/p/rumba/upload", "/p/rumba/queue", "/p/rumba/live", "/audit"]
    pages += ["/people", "/tokens", "/sets/1", f"/candidates/{number}", "/audit.jsonl"]
    pages += ["/properties/new", "/properties/rumba", "/p/rumba/families/new"]
    for path in pages:
        assert visitor.get(path).status_code == 200, path
    looked_up = visitor.post("/properties/rumba/urls", {"urls": f"http://shop{RED}?width=384"})
    assert RED in looked_up.text and "no record" in looked_up.text


def test_the_wrong_rows_come_back_as_a_file(logged_in: Callable[[Role], Visitor]) -> None:
    visitor = logged_in("operator")
    visitor.get("/p/rumba/upload")
    shown = visitor.post(
        "/p/rumba/preview", {"family": "rumba", "text": "red lace\n" + PROMPTS, "name": "x"}
    ).text
    upload = shown.partition('name="upload" value="')[2].partition('"')[0]
    file = visitor.get(f"/p/rumba/rejected/{upload}", params={"family": "rumba"}).text
    assert file.startswith("# line 1: ") and file.endswith("\nred lace\n")
    taken = visitor.post("/p/rumba/import", {"family": "rumba", "upload": upload, "name": "x"})
    assert taken.headers["location"].startswith("/sets/1")


def test_an_upload_is_its_uploaders_own(logged_in: Callable[[Role], Visitor]) -> None:
    mine, other = logged_in("operator"), logged_in("approver")
    mine.get("/p/rumba/upload")
    shown = mine.post("/p/rumba/preview", {"family": "rumba", "text": PROMPTS}).text
    upload = shown.partition('name="upload" value="')[2].partition('"')[0]
    answer = other.get(f"/p/rumba/rejected/{upload}", params={"family": "rumba"})
    assert answer.status_code == 404


def test_the_example_of_a_family_goes_in_as_it_is(logged_in: Callable[[Role], Visitor]) -> None:
    visitor = logged_in("operator")
    visitor.get("/p/rumba/upload")
    example = visitor.get("/p/rumba/example.csv", params={"family": "rumba"}).text
    shown = visitor.post("/p/rumba/preview", {"family": "rumba", "text": example}).text
    assert "Import 20 rows" in shown and "Rows that stay out" not in shown


def test_what_comes_next_appears_when_a_job_is_done(
    made: httpx2.Client, logged_in: Callable[[Role], Visitor]
) -> None:
    visitor = logged_in("approver")
    assert visitor.get("/sets/1/progress").headers["hx-refresh"] == "true"
    assert "Judge 3 one by one" in visitor.get("/sets/1").text
    for row in candidates(made):
        made.post(f"/candidates/{row['id']}/decision", json={"verdict": "approved"})
    assert "On to publishing" in visitor.get("/p/rumba/queue?set=1").text
    assert "Publish 3 approved" in visitor.get("/sets/1").text
    made.post("/properties/rumba/publish", json={})
    shown = visitor.get("/p/rumba/live").text
    assert "3 assets live" in shown and f"Revoke {RED}" in shown
    found = visitor.get("/p/rumba/live?like=red_white").text
    assert "1 asset live with “red_white” in the name" in found


def test_judging_goes_on_in_the_queue_that_it_began_in(
    made: httpx2.Client, logged_in: Callable[[Role], Visitor]
) -> None:
    visitor = logged_in("approver")
    row = candidates(made)[0]
    asked = "state=proposed&set=1&order=doubt"
    visitor.get(f"/candidates/{row['id']}?{asked}")
    said: dict[str, object] = {"verdict": "rejected", "reason": "blurred", "asked": asked}
    done = visitor.post(f"/candidates/{row['id']}/decide", said)
    assert done.headers["location"].startswith(f"/p/rumba/queue?{asked}&said=")
    undone = visitor.post("/undo", {"asked": asked})
    assert undone.headers["location"].startswith(f"/candidates/{row['id']}?{asked}&said=")
    elsewhere = visitor.post("/undo", {"asked": "x\r\nlocation: evil"})
    assert elsewhere.status_code == 422
