"""Minutes come at least once, from many workers, and count once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, func, select

from kvsync.errors import BadRequest
from kvsync.ledger import (
    BOUNDS_S,
    MAX_ASSET_LENGTH,
    Answers,
    Carried,
    Crossed,
    Held,
    Kept,
    Minute,
    Open,
    Work,
    decode_minutes,
    encode_minutes,
)
from origin.database import Database
from origin.ledger.intake import Ages, Ledger, Taken
from origin.ledger.tables import (
    ANSWERS,
    CARRIED,
    CROSSED,
    EVERY,
    HELD,
    KEPT,
    MINUTES,
    OPEN,
    SPANS_S,
    WORK,
)
from origin.tables import Base

NOW = 1_790_000_040.0
START = int(NOW) - int(NOW) % 86_400
NO_BUCKETS = (0,) * (len(BOUNDS_S) + 1)
SERVES = ("shop", "other")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    yield Ledger(database)
    database.close()


def answers(count: int = 1, *, property: str = "shop", outcome: str = "hit") -> Answers:
    return Answers(
        property,
        "boots",
        outcome,
        "",
        count,
        10 * count,
        0,
        0,
        0,
        0.5,
        0.0,
        (count, *NO_BUCKETS[1:]),
    )


def total(ledger: Ledger, table: Table, column: str, span_s: int) -> float:
    with ledger.database.reading() as session:
        summed = select(func.sum(table.c[column])).where(table.c.span_s == span_s)
        return float(session.execute(summed).scalar() or 0)


def test_a_minute_that_comes_again_counts_once(ledger: Ledger) -> None:
    minute = Minute("edge-1", START, (answers(3), Held("h200", "gpu-1", 60.0)))
    assert ledger.take("asia", SERVES, [minute], NOW) == Taken(1, 0, {})
    assert ledger.take("asia", SERVES, [minute, minute], NOW) == Taken(0, 2, {})
    assert [total(ledger, ANSWERS, "answers", span) for span in SPANS_S] == [3] * 5
    assert [total(ledger, HELD, "allocated_s", span) for span in SPANS_S] == [60] * 5


def test_a_worker_that_starts_anew_adds_to_what_it_counted_before(ledger: Ledger) -> None:
    for worker in ("edge-1-before", "edge-1-after"):
        ledger.take("asia", SERVES, [Minute(worker, START, (answers(2),))], NOW)
    assert total(ledger, ANSWERS, "answers", 60) == 4


def test_all_minutes_of_a_message_are_taken_or_none(ledger: Ledger) -> None:
    good = Minute("edge-1", START, (answers(),))
    huge = Minute("edge-1", START + 60, (Carried("shop", "sync", 2**63 - 1),) * 2)
    with pytest.raises(Exception, match=r"(?i)int"):
        ledger.take("asia", SERVES, [good, huge], NOW)
    assert ledger.take("asia", SERVES, [good], NOW).taken == 1


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2 * 24 * 60),
            st.sampled_from(["one", "two"]),
            st.sampled_from(["hit", "rehydrated"]),
            st.integers(1, 1_000),
        ),
        max_size=30,
    )
)
def test_hours_and_days_are_the_sums_of_their_minutes(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, str, str, int]]
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/origin.db")
    ledger = Ledger(database)
    first_told: dict[tuple[str, int], tuple[str, int]] = {}
    for at, worker, outcome, count in sent:
        minute = Minute(worker, START - 60 * at, (answers(count, outcome=outcome),))
        ledger.take("asia", SERVES, [minute], NOW)
        first_told.setdefault((worker, minute.start), (outcome, count))
    for span_s in SPANS_S:
        expected: Counter[tuple[int, str]] = Counter()
        for (_, start), (outcome, count) in first_told.items():
            expected[start - start % span_s, outcome] += count
        chosen = select(ANSWERS.c.start, ANSWERS.c.outcome, ANSWERS.c.answers, ANSWERS.c.bucket_00)
        with database.reading() as session:
            rows = session.execute(chosen.where(ANSWERS.c.span_s == span_s)).all()
        assert {(start, outcome): sum_ for start, outcome, sum_, _ in rows} == expected
        assert all(sum_ == quick for _, _, sum_, quick in rows)
    database.close()


def test_what_cannot_be_believed_is_refused_and_counted(ledger: Ledger) -> None:
    ahead = Minute("edge-1", START + 86_400 * 2, (answers(),))
    old = Minute("edge-1", START - 31 * 86_400, (answers(),))
    foreign = Minute("edge-1", START, (answers(property="theirs"), answers(5)))
    taken = ledger.take("asia", ["shop"], [ahead, old, foreign], NOW)
    assert taken == Taken(1, 0, {"ahead": 1, "too_old": 1, "property": 1})
    assert total(ledger, ANSWERS, "answers", 60) == 5


def test_old_minutes_go_and_cannot_come_back(ledger: Ledger) -> None:
    ledger.kept = Ages(minutes_s=3_600, hours_s=86_400)
    minute = Minute("edge-1", int(NOW) // 60 * 60, (answers(3),))
    ledger.take("asia", SERVES, [minute], NOW)
    assert ledger.drop_old(NOW + 7_200) == 8
    assert [total(ledger, ANSWERS, "answers", span) for span in SPANS_S] == [0, 0, 3, 3, 3]
    assert ledger.take("asia", SERVES, [minute], NOW + 7_200) == Taken(0, 0, {"too_old": 1})
    ledger.drop_old(NOW + 2 * 86_400)
    assert [total(ledger, ANSWERS, "answers", span) for span in SPANS_S] == [0, 0, 0, 0, 3]


def test_every_kind_of_row_is_kept(ledger: Ledger) -> None:
    rows = (
        answers(),
        Work("h200", "shop", "boots", "serve", 12, 0.5, 0.1, 0.2, 0.05),
        Held("h200", "gpu-1", 60.0),
        Carried("shop", "sync", 512),
        Kept("shop", "model", 6e9),
        Crossed("shop", "/boots/red.jpg", "no-record", 1, 50_000),
        Open("region.example:8090", 2.5),
    )
    ledger.take("asia", SERVES, [Minute("all", START, rows)], NOW)
    found = [
        total(ledger, ANSWERS, "generate_ms", 60),
        total(ledger, WORK, "encode_s", 3_600),
        total(ledger, HELD, "allocated_s", 86_400),
        total(ledger, CARRIED, "carried_bytes", 60),
        total(ledger, KEPT, "byte_s", 3_600),
        total(ledger, CROSSED, "middle_mile_bytes", 86_400),
        total(ledger, OPEN, "open_s", 60),
    ]
    assert found == [0.5, 0.2, 60, 512, 6e9, 50_000, 2.5]


def test_each_span_keeps_the_assets_that_crossed_most(ledger: Ledger) -> None:
    for minute in range(8):
        crossed = [
            Crossed("shop", f"/{number}.jpg", "no-record", 1, 1_000 * (number % 150 + 1))
            for number in range(20 * minute, 20 * minute + 20)
        ]
        ledger.take("asia", SERVES, [Minute("edge-1", START + 60 * minute, tuple(crossed))], NOW)
    sizes = select(CROSSED.c.middle_mile_bytes).where(CROSSED.c.span_s == 86_400)
    with ledger.database.reading() as session:
        kept = sorted(session.execute(sizes).scalars())
    assert kept == [1_000 * (number + 1) for number in range(50, 150)]


def test_an_asset_is_named_by_as_much_as_is_kept_of_its_path(ledger: Ledger) -> None:
    long = Crossed("shop", "/" * (MAX_ASSET_LENGTH + 1), "no-record", 1, 1)
    with pytest.raises(BadRequest, match="length"):
        decode_minutes(encode_minutes([Minute("edge-1", START, (long,))]))


def test_minutes_cross_the_wire(ledger: Ledger) -> None:
    minutes = (Minute("edge-1", START, (answers(), Carried("shop", "model", 9))),)
    assert decode_minutes(encode_minutes(minutes)) == minutes


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        encode_minutes([Minute("edge-1", START + 1, ())]),
        encode_minutes([Minute("edge-1", START, (Carried("no property", "sync", 1),))]),
        encode_minutes([Minute("edge-1", START, (Carried("shop", "sync", -1),))]),
        b"\x91" * 2_000,
    ],
)
def test_what_is_no_ledger_is_refused_in_one_line(raw: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_minutes(raw)
    assert "\n" not in str(refused.value)


def test_the_migration_makes_these_tables(ledger: Ledger) -> None:
    names = {table.name for table in (*EVERY, MINUTES)}

    def ours(thing: object, name: str, kind: str, *_: object) -> bool:
        return kind != "table" or name in names

    with ledger.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, Base.metadata) == []
