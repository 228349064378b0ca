"""What a process counts is in its spool by the minute, and counts once."""

from pathlib import Path

import pytest

from kvsync.errors import BadRequest, InputError
from kvsync.ledger import (
    BOUNDS_S,
    Answers,
    Carried,
    Held,
    Minute,
    MinuteName,
    decode_names,
    encode_names,
)
from kvsync.meter import Meter, rows_between
from kvsync.minutes import Minutes
from kvsync.spool import Spool

START = 1_790_000_040 // 60 * 60
DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = START + 5.0

    def __call__(self) -> float:
        return self.now


def spool(folder: Path) -> Spool:
    return Spool(folder / "ledger", DAY_S)


def minute(worker: str, start: int = START, carried: int = 1) -> Minute:
    return Minute(worker, start, (Carried("shop", "sync", carried),))


def test_rows_are_what_was_added_between_two_looks() -> None:
    meter = Meter()
    meter.add(Carried, ("shop", "sync"), 500)
    before = meter.totals()
    meter.add(Carried, ("shop", "sync"), 20)
    meter.add(Held, ("cpu", "host"), 1.5)
    meter.add(Held, ("cpu", "host"), 1.5)
    assert rows_between(before, meter.totals()) == (
        Carried("shop", "sync", 20),
        Held("cpu", "host", 3.0),
    )
    assert rows_between(meter.totals(), meter.totals()) == ()


def test_a_row_of_answers_keeps_its_buckets() -> None:
    meter = Meter()
    buckets = tuple(range(len(BOUNDS_S) + 1))
    meter.add(Answers, ("shop", "boots", "hit", ""), 3, 400, 0, 0, 0, 0.5, 0.0, *buckets)
    (row,) = rows_between({}, meter.totals())
    assert row == Answers("shop", "boots", "hit", "", 3, 400, 0, 0, 0, 0.5, 0.0, buckets)


def test_each_minute_has_what_was_counted_in_it(tmp_path: Path) -> None:
    meter, clock, kept = Meter(), Clock(), spool(tmp_path)
    minutes = Minutes("edge-1", kept, meter.totals, clock=clock)
    for carried in (7, 5):
        meter.add(Carried, ("shop", "sync"), carried)
        clock.now += 60
        minutes.cut()
    first, second = kept.oldest(1 << 20)
    assert (first.start, first.rows) == (START, (Carried("shop", "sync", 7),))
    assert (second.start, second.rows) == (START + 60, (Carried("shop", "sync", 5),))
    assert first.worker == second.worker


def test_nothing_counted_is_no_minute(tmp_path: Path) -> None:
    Minutes("edge-1", spool(tmp_path), Meter().totals).cut()
    assert len(spool(tmp_path)) == 0


def test_a_process_that_starts_anew_has_another_name(tmp_path: Path) -> None:
    meter, clock = Meter(), Clock()
    meter.add(Carried, ("shop", "sync"), 1)
    for _ in range(2):
        Minutes("edge-1", spool(tmp_path), meter.totals, clock=clock).cut()
    assert len({one.worker for one in spool(tmp_path).oldest(1 << 20)}) == 2


def test_a_clock_set_back_loses_no_minute(tmp_path: Path) -> None:
    meter, clock = Meter(), Clock()
    minutes = Minutes("edge-1", spool(tmp_path), meter.totals, clock=clock)
    for later in (60, -60, 60):
        meter.add(Carried, ("shop", "sync"), 1)
        clock.now += later
        minutes.cut()
    assert len(spool(tmp_path)) == 3


def test_what_the_disk_does_not_take_is_in_a_later_minute(tmp_path: Path) -> None:
    meter, clock = Meter(), Clock()
    (tmp_path / "ledger").write_text("in the way")
    minutes = Minutes("edge-1", spool(tmp_path), meter.totals, clock=clock)
    meter.add(Carried, ("shop", "sync"), 4)
    minutes.cut()
    (tmp_path / "ledger").unlink()
    meter.add(Carried, ("shop", "sync"), 1)
    clock.now += 60
    minutes.cut()
    (later,) = spool(tmp_path).oldest(1 << 20)
    assert later.rows == (Carried("shop", "sync", 5),)


def test_a_spool_hands_out_the_oldest_until_it_is_confirmed(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    for worker, start in (("b/.. ?", START + 60), ("a", START), ("a", START + 60)):
        kept.add(minute(worker, start))
    assert [one.start for one in kept.oldest(1)] == [START]
    assert kept.confirm([MinuteName("a", START), MinuteName("never", START)]) == 1
    assert {one.worker for one in spool(tmp_path).oldest(1 << 20)} == {"a", "b/.. ?"}
    assert kept.confirm([MinuteName("a", START)]) == 0


def test_a_spool_drops_what_is_past_its_age_and_what_it_cannot_read(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    kept.add(minute("a", START))
    kept.add(minute("a", START + 60))
    assert kept.drop_old(START + DAY_S) == 1
    (tmp_path / "ledger" / f"{START}-00.minute").write_bytes(b"torn")
    assert [one.start for one in kept.oldest(1 << 20)] == [START + 60]
    assert len(kept) == 1


def test_a_spool_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        spool(tmp_path).add(minute("a"))


def test_names_cross_the_wire_and_nothing_else() -> None:
    names = (MinuteName("edge-1", START),)
    assert decode_names(encode_names(names)) == names
    for raw in (b"", b"\xc1", b"\x91\x91\x01"):
        with pytest.raises(BadRequest):
            decode_names(raw)
