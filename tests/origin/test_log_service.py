"""The log over HTTP and the commands that wait for regions, against a running origin."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from typer.testing import CliRunner, Result

from kvsync.log import Announce, Bury, Configure, Entry, Put, Skipped
from kvsync.ranges import RangeDigests, RangeEntries, RangeSums, entry_hash, range_of
from kvsync.replica import ReplicaReport
from kvsync.snapshot import SnapshotManifest, unpack_piece
from origin.approved import Approved
from origin.cli import app
from origin.service import create_app
from origin.sync.tokens import admit
from origin.workplace import Workplace
from tests.origin.region_by_hand import Region, followed
from tests.origin.running import running_origin

RED = "/rumba/red-white.jpg"
ApproveAll = Callable[[], list[Approved]]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def web(environment: None, place: Workplace, free_port: int) -> Iterator[httpx2.Client]:
    with running_origin(free_port) as client:
        yield client


@pytest.fixture
def region(place: Workplace, web: httpx2.Client) -> Region:
    token = admit(place.settings.region_tokens, "asia-east", ["rumba"])
    one = Region(place, web, "asia-east", token)
    one.await_log()
    return one


def test_a_region_reads_settings_model_and_records_in_order(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    followed(region, 6)
    kinds = [type(one) for one in region.entries]
    assert kinds == [Configure, Announce, Put, Put, Put, Put]
    settings = region.entries[0]
    assert isinstance(settings, Configure)
    assert settings.toml == (place.settings.properties_dir / "rumba.toml").read_bytes()
    assert region.follow().seq == 6


def test_a_waiting_region_hears_at_once(region: Region, approve_all: ApproveAll) -> None:
    followed(region, 1)
    threading.Timer(0.2, approve_all).start()
    began = time.monotonic()
    region.follow(wait_s=10)
    assert isinstance(region.entries[-1], Announce) and time.monotonic() - began < 5


@pytest.mark.parametrize(
    "path",
    [
        "/v1/log/rumba",
        "/v1/snapshots/rumba",
        "/v1/snapshots/rumba/" + "0" * 64,
        "/v1/digests/rumba",
        "/v1/ranges/rumba/0",
    ],
)
def test_without_the_right_token_nothing_is_said(
    place: Workplace, web: httpx2.Client, region: Region, path: str
) -> None:
    hats = admit(place.settings.region_tokens, "europe-west", ["hats"])
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Bearer {hats}"}):
        answer = web.get(path, headers=headers)
        assert answer.status_code == 403 and answer.json()["error"] == "forbidden"
    old, _ = region.authorization, admit(place.settings.region_tokens, "asia-east", ["rumba"])
    assert web.get(path, headers=old).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/log/rumba"),
        ("GET", "/v1/snapshots/rumba"),
        ("GET", "/v1/digests/rumba"),
        ("GET", "/v1/ranges/rumba/0"),
        ("POST", "/v1/regions/asia-east/report"),
        ("POST", "/v1/dam/rumba/events"),
    ],
)
async def test_from_another_machine_a_token_is_taken_over_https_alone(
    place: Workplace, method: str, path: str
) -> None:
    token = admit(place.settings.region_tokens, "asia-east", ["rumba"])
    headers = {"authorization": f"Bearer {token}"}
    app = create_app(place.settings)

    async def ask(scheme: str, client: str) -> httpx2.Response:
        way = httpx2.ASGITransport(app, raise_app_exceptions=False, client=(client, 7))
        async with httpx2.AsyncClient(transport=way, base_url=f"{scheme}://origin") as web:
            return await web.request(method, path, headers=headers)

    said = "tokens are taken over HTTPS"
    assert said in (await ask("http", "192.0.2.7")).text
    for scheme, client in (("https", "192.0.2.7"), ("http", "127.0.0.1"), ("http", "::1")):
        assert said not in (await ask(scheme, client)).text


def test_a_region_speaks_for_itself_alone(place: Workplace, region: Region) -> None:
    region.name = "europe-west"
    assert region.report().status_code == 403


def test_a_region_that_knows_more_than_the_origin_is_told(region: Region) -> None:
    followed(region, 1)
    answer = region.get("/v1/log/rumba", after=7)
    assert (answer.status_code, answer.json()["error"]) == (409, "log-ahead")


@pytest.mark.parametrize("path", ["/v1/ranges/rumba/4096", "/v1/ranges/rumba/-1"])
def test_a_range_that_is_none_is_refused(region: Region, path: str) -> None:
    assert region.get(path).status_code == 400


def test_a_snapshot_has_everything_in_force(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    run("revoke", RED)
    followed(region, 7)
    signed = region.get("/v1/snapshots/rumba").content
    manifest = SnapshotManifest.from_signed(signed, region.keys, property="rumba")
    assert manifest.cursor == region.cursor and manifest.records == 3
    found: list[Entry | Skipped] = []
    for piece in manifest.pieces:
        packed = region.get(f"/v1/snapshots/rumba/{piece.digest.hex()}").content
        found += unpack_piece(packed, piece)
    revoked = place.site.request(RED).key
    assert {one.seq for one in found} == {
        one.seq for one in region.entries if not (isinstance(one, Put) and one.key == revoked)
    }
    assert region.get("/v1/snapshots/rumba/" + "0" * 64).status_code == 404
    assert region.get("/v1/snapshots/rumba/..%2F..%2Fkeys").status_code == 404


def sums_of(entries: list[Entry | Skipped]) -> bytes:
    newest = {one.key: one for one in entries if isinstance(one, Put | Bury)}
    sums = RangeSums()
    for key, one in newest.items():
        sums.add(key, entry_hash(key, one.signed, buried=isinstance(one, Bury)))
    return sums.encode()


def test_digests_are_of_any_point_of_the_log(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    run("revoke", RED)
    run("revoke", "/rumba/blue-*")
    followed(region, 9)
    for at in (9, 6, 7, 9, 0, 9):
        answer = region.get("/v1/digests/rumba", at=at)
        found = RangeDigests.from_signed(answer.content, region.keys, property="rumba")
        assert (found.seq, found.sums) == (at, sums_of(region.entries[:at]))
    assert region.get("/v1/digests/rumba", at=10).status_code == 409
    key = place.site.request(RED).key
    for at, kind in ((6, Put), (7, Bury)):
        answer = region.get(f"/v1/ranges/rumba/{range_of(key)}", at=at)
        one = RangeEntries.from_signed(
            answer.content, region.keys, property="rumba", number=range_of(key)
        )
        assert [type(entry) for entry in one.read() if entry.key == key] == [kind]


def test_publishing_waits_until_regions_have_it(region: Region, approve_all: ApproveAll) -> None:
    approve_all()
    with region.living():
        result = run("publish")
    assert result.exit_code == 0, result.output
    assert "region asia-east: confirmed: at 6" in result.output


def test_publishing_does_not_wait_for_a_region_that_is_gone(
    region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    result = run("publish")
    assert result.exit_code == 0
    assert "region asia-east: NOT confirmed: was never heard of" in result.output


def test_publishing_fails_where_a_region_lacks_a_model(
    region: Region, approve_all: ApproveAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORIGIN_CONFIRM_S", "1")
    approve_all()
    with region.living(readable_seq=2):
        result = run("publish")
    assert result.exit_code == 1
    assert "4 wait for their model" in result.output


def test_revoking_returns_when_every_cache_confirmed(
    region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    with region.living():
        result = run("revoke", RED)
    assert result.exit_code == 0, result.output
    assert "region asia-east: confirmed: at 7" in result.output


def test_revoking_names_who_did_not_confirm_and_until_when_it_may_serve(
    place: Workplace, region: Region, approve_all: ApproveAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORIGIN_CONFIRM_S", "1")
    admit(place.settings.region_tokens, "us-east", ["rumba"])
    approve_all()
    with region.living(purged_seq=3, unpurged=["edge http://10.0.0.1:8081"]):
        run("publish")
        before = time.time()
        result = run("revoke", RED)
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.startswith("region")]
    assert "asia-east: NOT confirmed: at 7, not confirmed by edge http://10.0.0.1:8081" in lines[0]
    assert "us-east: NOT confirmed: was never heard of" in lines[1]
    until = datetime.strptime(lines[1].partition(" until ")[2], "%Y-%m-%d %H:%M:%S UTC")
    bound = place.site.rules.goes_on_s
    said = until.replace(tzinfo=UTC).timestamp()
    assert before + bound - 1 <= said <= time.time() + bound + 2


def test_status_shows_every_region(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    admit(place.settings.region_tokens, "us-east", ["rumba"])
    approve_all()
    run("publish")
    followed(region, 6)
    replica = ReplicaReport(3, 150_000, 1, fault="no space left")
    region.report(lag_ms=12, refused={"gap": 2}, replica=replica)
    found = json.loads(run("sync", "status", "--json").output)
    assert (found["given"], found["sealed"], found["records"]) == (6, 6, 4)
    assert found["regions"]["us-east"] is None
    assert found["regions"]["asia-east"]["report"]["lag_ms"] == 12
    shown = run("sync", "status").output.splitlines()
    assert shown[0] == "rumba: 6 changes, 6 in the log, 4 records in force"
    assert "at 6, 0 behind; renewed " in shown[1] and "lag 12 ms; 4 records" in shown[1]
    assert "refused 2 gap" in shown[1]
    kept = "replica of 3 originals, 150000 bytes, 1 still to come (no space left)"
    assert kept in shown[1]
    assert shown[2] == "us-east: never heard of"


def test_verify_asks_every_region_to_compare(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    with region.living():
        result = run("sync", "verify")
    assert result.exit_code == 0, result.output
    assert "region asia-east: in sync at 6, 4 records" in result.output


def test_verify_names_the_keys_that_differ(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    key = place.site.request(RED).key.hex()
    with region.living(differing_count=1, differing=[key]):
        result = run("sync", "verify")
    assert result.exit_code == 1
    assert f"{key} {RED}" in result.output and "1 of 1 regions are not in sync" in result.output


def test_verify_says_which_region_did_not_compare(place: Workplace, region: Region) -> None:
    result = run("sync", "verify")
    assert result.exit_code == 1 and "asia-east: did not compare" in result.output


def test_admitting_prints_a_token_that_works(place: Workplace, web: httpx2.Client) -> None:
    result = run("sync", "admit", "us-east", "--property", "rumba")
    assert result.exit_code == 0
    region = Region(place, web, "us-east", result.output.strip())
    region.await_log()
    followed(region, 1)
    mode = place.settings.region_tokens.stat().st_mode & 0o777
    assert mode == 0o600
    assert run("sync", "admit", "us east", "--property", "rumba").exit_code == 1
    assert "no property 'hats'" in run("sync", "admit", "x", "--property", "hats").stderr


def test_a_region_that_was_dismissed_is_waited_for_no_longer(
    place: Workplace, region: Region, approve_all: ApproveAll
) -> None:
    approve_all()
    followed(region, 2)
    region.report()
    assert 'region="asia-east"' in region.web.get("/metrics").text
    assert run("sync", "dismiss", "asia-east").exit_code == 0
    assert region.get("/v1/log/rumba").status_code == 403
    assert "region asia-east" not in run("publish").output
    assert run("revoke", RED).exit_code == 0
    assert 'region="asia-east"' not in region.web.get("/metrics").text
    again = run("sync", "dismiss", "asia-east")
    assert again.exit_code == 1 and "no such region was admitted; there is none" in again.stderr


def test_a_snapshot_can_be_asked_for(place: Workplace, approve_all: ApproveAll) -> None:
    approve_all()
    result = run("sync", "snapshot")
    assert result.exit_code == 0 and result.output.startswith("0 records at 0")


def test_the_log_is_on_the_metrics(region: Region, approve_all: ApproveAll) -> None:
    followed(region, 1)
    unheard = 'origin_region_silent_seconds{property="rumba",region="asia-east"} +Inf'
    assert unheard in region.web.get("/metrics").text
    region.report()
    approve_all()
    followed(region, 2)
    text = region.web.get("/metrics").text
    assert 'origin_bytes_total{kind="log"}' in text
    assert 'origin_log_sealed_seq{property="rumba"} 2.0' in text
    assert "origin_log_faults 0.0" in text
    assert 'origin_region_behind{property="rumba",region="asia-east"} 1.0' in text
