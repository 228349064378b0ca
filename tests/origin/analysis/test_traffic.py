"""Logs of several makers, whole and broken, come to the same sums."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest
import zstandard

from edge.access_log import About, AccessLog
from edge.decide import Outcome
from origin.analysis.traffic import Demand, read_traffic

COMBINED = (
    '203.0.113.9 - - [{day}:10:00:0{n} +0000] "GET {target} HTTP/1.1" {status} {size} '
    '"https://shop.example/" "Mozilla/5.0 (\\"X11\\")" {state}\n'
)


def combined(target: str, state: str, day: str = "20/Nov/2026", **more: object) -> str:
    told = {"n": 1, "status": 200, "size": 50_000, **more}
    return COMBINED.format(target=target, state=state, day=day, **told)


def test_combined_lines_with_the_caches_word(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        combined("/boots/red.jpg?w=300", "MISS", day="22/Nov/2026")
        + combined("/boots/red.jpg", "HIT")
        + combined("/boots/red.jpg", "EXPIRED", size="-")
        + combined("/boots/blue.jpg", "HIT")
    )
    found = read_traffic([log])
    assert found.demand == [
        Demand("/boots/blue.jpg", "", 1, 50_000, 0, 0),
        Demand("/boots/red.jpg", "", 3, 100_000, 2, 50_000),
    ]
    assert (found.lines, found.days, found.first) == (4, 3, date(2026, 11, 20))
    assert found.left_out == {} and found.unread == {}


def test_common_lines_say_nothing_of_misses(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text('::1 - bob [20/Nov/2026:10:00:00 +0100] "GET /a.jpg HTTP/2.0" 200 512\n' * 2)
    assert read_traffic([log]).demand == [Demand("/a.jpg", "", 2, 1_024, None, None)]


def test_cloudfront(tmp_path: Path) -> None:
    fields = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status"
    log = tmp_path / "E1.2026-11-20-10.log.gz"
    lines = [
        "#Version: 1.0",
        f"#Fields: {fields} x-edge-result-type",
        "2026-11-20\t10:00:00\tFRA60-P4\t51000\t::1\tGET\td.example\t/a.jpg\t200\tMiss",
        "2026-11-20\t10:00:01\tFRA60-P4\t51000\t::1\tGET\td.example\t/a.jpg\t200\tRefreshHit",
        "2026-11-20\t10:00:02\tSIN2-C1\t51000\t::1\tGET\td.example\t/a.jpg\t200\tHit",
        "2026-11-20\t10:00:03\tSIN2-C1\t0\t::1\tPUT\td.example\t/a.jpg\t200\tMiss",
    ]
    log.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = read_traffic([log])
    assert found.demand == [
        Demand("/a.jpg", "FRA60-P4", 2, 102_000, 1, 51_000),
        Demand("/a.jpg", "SIN2-C1", 1, 51_000, 0, 0),
    ]
    assert found.left_out == {"method": 1}


def test_json_lines_of_a_fastly_and_of_our_own(tmp_path: Path) -> None:
    theirs = {
        "timestamp": "2026-11-20T10:00:00Z",
        "request_method": "GET",
        "url": "/a.jpg?w=300",
        "response_status": "200",
        "response_body_size": 512,
        "fastly_info.state": "MISS-CLUSTER",
        "pop": "FRA",
    }
    ours = {
        "time": 1_790_000_000.5,
        "method": "GET",
        "target": "/a.jpg",
        "status": 200,
        "body_bytes": 512,
        "outcome": "rehydrated",
    }
    fastly, own = tmp_path / "fastly.json.zst", tmp_path / "own.jsonl"
    fastly.write_bytes(zstandard.compress((json.dumps(theirs) + "\n").encode()))
    own.write_text(json.dumps(ours) + "\n" + json.dumps({**ours, "outcome": "hit"}) + "\n")
    found = read_traffic([fastly, own])
    assert found.demand == [
        Demand("/a.jpg", "", 2, 1_024, 1, 512),
        Demand("/a.jpg", "FRA", 1, 512, 1, 512),
    ]


async def test_a_log_of_our_own_edges_tells_every_asset(tmp_path: Path) -> None:
    path = tmp_path / "edge.jsonl"
    log = AccessLog(str(path))
    outcomes: tuple[Outcome, ...] = ("hit", "rehydrated", "replica", "origin", "stale")
    for outcome in outcomes:
        about = About("GET", "shop", "/a.jpg", 200, 512, "shop", outcome)
        log.note(1_790_000_000.5, b"127.0.0.1", 1.5, about.encoded())
    log.close()
    assert read_traffic([path]).demand == [Demand("/a.jpg", "", 5, 5 * 512, 3, 3 * 512)]


def test_broken_lines_are_counted_shown_and_left_out(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    good = combined("/caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "MISS").encode()
    bad = [
        b"\xff\xfe\x00 nonsense",
        b'"""',
        b"x" * 100_000,
        combined("/a.jpg", "MISS", day="99/Foo/2026").strip().encode(),
        combined("/a.jpg", "MISS", status=404).strip().encode(),
        b'- - - [20/Nov/2026:10:00:00 +0000] "" 400 0 "-" "-"',
        b'- - - [20/Nov/2026:10:00:00 +0000] "\\x16\\x03" 400 0 "-" "-"',
    ]
    log.write_bytes(good + b"\n".join(bad) + b"\n" + good + b"cut off in the mid")
    found = read_traffic([log])
    assert found.demand == [Demand("/café.jpg", "", 2, 100_000, 2, 100_000)]
    assert found.lines == 10 and found.left_out == {"broken": 6, "time": 1, "status": 1}
    assert 1 <= len(found.examples) <= 3


def test_times_may_come_in_any_order(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    days = ("20/Nov/2026", "03/Nov/2026", "19/Nov/2026")
    log.write_text("".join(combined("/a.jpg", "MISS", day=day) for day in days))
    found = read_traffic([log])
    assert found.days == 18 and found.demand[0].requests == 3


def test_other_encodings_cost_no_more_than_their_own_lines(tmp_path: Path) -> None:
    latin, wide = tmp_path / "latin.log", tmp_path / "wide.log"
    named = combined("/caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "HIT")
    latin.write_bytes(named.encode("latin-1") + combined("/a.jpg", "HIT").encode())
    wide.write_text(combined("/b.jpg", "HIT"), "utf-16")
    found = read_traffic([latin, wide])
    assert {one.path for one in found.demand} == {"/a.jpg", "/caf\N{REPLACEMENT CHARACTER}.jpg"}
    assert list(found.unread) == [str(wide)]


def test_files_that_cannot_be_read_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good, torn, poem = tmp_path / "good.log", tmp_path / "torn.log.gz", tmp_path / "poem.log"
    good.write_text(combined("/a.jpg", "HIT"))
    torn.write_bytes(gzip.compress(combined("/b.jpg", "HIT").encode() * 9_999)[:-500])
    poem.write_text("no log\nat all\n")
    (tmp_path / "empty.log").touch()
    names = [tmp_path / "gone.log", torn, poem, tmp_path / "empty.log", good]
    found = read_traffic(names)
    assert [demand.path for demand in found.demand] == ["/a.jpg"]
    assert [Path(name).name for name in found.unread] == ["gone.log", "torn.log.gz", "poem.log"]
    assert all("\n" not in why and why for why in found.unread.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_no_logs_are_no_traffic(threads: int) -> None:
    assert read_traffic([], threads).days == 0
