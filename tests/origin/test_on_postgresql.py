"""The control plane on a real PostgreSQL: the same tables, and the same figures as on SQLite."""

import datetime
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, select, text
from typer.testing import CliRunner

import origin.console.tables  # noqa: F401  # its tables are in the metadata
from kvsync.ledger import Held, Minute
from origin.approved import Approved
from origin.cli import app
from origin.dashboard.asked import Asked, ask
from origin.dashboard.rows import TABLES, Picked, page_of
from origin.dashboard.savings import by_family, earned, headline
from origin.dashboard.traffic import traffic
from origin.dashboard.what_if import what_if
from origin.database import Database
from origin.economics.chosen_books import Books, choose_book, read_books
from origin.economics.price_book import preset
from origin.economics.what_if import Change
from origin.ledger.intake import Ages, Ledger, Taken
from origin.ledger.reading import Reader
from origin.ledger.spans import day_of, read_zone
from origin.ledger.tables import DAY_S, PACKED_USAGE
from origin.tables import AuditRow, Base
from origin.workplace import Workplace
from tests.origin.dashboard.ledger_world import (
    ASIA,
    EUROPE,
    SHOP,
    answers,
    migrated,
    moment,
    packed_sums,
    some_of_everything,
)
from tests.origin.postgresql_server import PROGRAMS, postgresql

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL's server is not installed"),
]
NOW = moment("2026-11-21 12:00")
FOR_EVER = Ages(minutes_s=400 * DAY_S, hours_s=400 * DAY_S)
Both = tuple[Ledger, Ledger]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def url(server: str, tmp_path: Path) -> str:
    """An empty database's."""
    return _new(server, tmp_path.name.replace("-", "_").lower())


@pytest.fixture
def environment(environment: None, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORIGIN_DATABASE_URL", url)


@pytest.fixture
def empty(url: str, tmp_path: Path) -> Iterator[Both]:
    yield from _both(url, tmp_path)


@pytest.fixture(scope="module")
def filled(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Ten weeks of two regions on both databases."""
    for both in _both(_new(server, "filled"), tmp_path_factory.mktemp("filled")):
        for ledger in both:
            fill(ledger)
        yield both


def _new(server: str, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _both(url: str, folder: Path) -> Iterator[Both]:
    databases = [Database(url), Database(f"sqlite:///{folder}/origin.db")]
    on_postgresql, on_sqlite = (Ledger(one, FOR_EVER) for one in databases)
    yield on_postgresql, on_sqlite
    for one in databases:
        one.close()


def fill(ledger: Ledger) -> list[Taken]:
    """Everything, some of it again, and the same minutes of another worker twice in a message."""
    begin = int(moment("2026-09-10 18:25")) // 60 * 60
    asia = [Minute("edge-1", begin + day * DAY_S, some_of_everything()) for day in range(72)]
    europe = [
        Minute("edge-1", one.start + 300, (answers("origin", 7 + day), Held("cpu", "", 60.0)))
        for day, one in enumerate(asia)
    ]
    again = [Minute("edge-2", one.start, one.rows) for one in asia[-20:]]
    sent = ((ASIA, asia), (EUROPE, europe), (ASIA, asia[:20]), (ASIA, [*again, *again]))
    return [ledger.take(region, [SHOP], minutes, NOW) for region, minutes in sent]


def test_the_migrations_make_exactly_the_tables_of_the_code(empty: Both) -> None:
    with empty[0].database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_minutes_are_taken_once_and_dropped_when_they_are_old(empty: Both) -> None:
    of_both = [fill(ledger) for ledger in empty]
    assert [one.taken for one in of_both[0]] == [72, 72, 0, 20]
    assert of_both[0] == of_both[1]
    aged = [replace(ledger, kept=Ages()) for ledger in empty]
    dropped = [ledger.drop_old(NOW) for ledger in aged]
    assert dropped[0] == dropped[1] > 0
    assert figures(aged[0], range="year") == figures(aged[1], range="year")


def test_what_many_send_at_once_is_all_packed(empty: Both) -> None:
    begin = int(moment("2026-11-20 10:00"))

    def send(number: int) -> Taken:
        rows = (answers("rehydrated", 1 + number, property=f"shop-{number % 3}"),)
        minute = Minute(f"edge-{number}", begin + 60 * (number % 7), rows)
        return empty[0].take(ASIA, [f"shop-{one}" for one in range(3)], [minute], NOW)

    with ThreadPoolExecutor(8) as pool:
        assert sum(one.taken for one in pool.map(send, range(40))) == 40
    day = day_of(datetime.date(2026, 11, 20), read_zone("UTC"))
    found = Reader(empty[0].database, FOR_EVER).each(PACKED_USAGE, (), ("misses",), [day])
    assert found.sums.tolist() == [[[sum(range(1, 41))]]]


def test_rows_of_an_older_database_are_packed(filled: Both) -> None:
    before = packed_sums(filled[0])
    assert before == packed_sums(filled[1])
    migrated(filled[0].database, "0014")
    migrated(filled[0].database, "head")
    assert packed_sums(filled[0]) == before


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("range", ["today", "month", "year"])
def test_the_dashboard_tells_the_same_figures(filled: Both, zone: str, range: str) -> None:
    of_postgresql, of_sqlite = (figures(ledger, zone=zone, range=range) for ledger in filled)
    assert of_postgresql["headline"]["since_start"][0]["haul_avoided"] > 0
    assert of_postgresql == of_sqlite


def figures(ledger: Ledger, **asked: Any) -> dict[str, Any]:
    """All that is told of a ledger, to nine digits: a sum's last ones depend on its order."""
    reader = Reader(ledger.database, ledger.kept)
    books = chosen(ledger.database)
    given: dict[str, Any] = {"begun_at": reader.begun_at(), "default_zone": "UTC", "now": NOW}
    about = ask(**{**given, "zone": asked.pop("zone", "UTC"), **asked})
    return {**of_scope(reader, books, about), "of one": of_scope(reader, books, narrowed(about))}


def of_scope(reader: Reader, books: Books, asked: Asked) -> dict[str, Any]:
    found = earned(reader, books, asked)
    told = {
        "headline": headline(reader, books, asked),
        "by day": found.by_span(),
        "by place": found.by_property() + found.by_region(),
        "by family": by_family(reader, found),
        "traffic": traffic(reader, books, asked),
        "what if": what_if(reader, books, asked, Change(per_gb=0.09, hit_ratio=0.5)),
        "rows": {
            name: [tuple(row) for row in page_of(reader, Picked(table, DAY_S, asked), 0)]
            for name, table in TABLES.items()
        },
    }
    plain: dict[str, Any] = rounded(msgspec.to_builtins(told))
    return plain


def narrowed(asked: Asked) -> Asked:
    return replace(asked, scope=type(asked.scope)(SHOP, ASIA))


def rounded(value: Any) -> Any:
    match value:
        case dict():
            return {name: rounded(one) for name, one in value.items()}
        case list() | tuple():
            return [rounded(one) for one in value]
        case float():
            return float(f"{value:.9g}") if abs(value) > 1e-9 else 0.0
    return value


def chosen(database: Database) -> Books:
    """A book for everybody, and another for one place from the first of a month on."""
    first = datetime.date(2026, 11, 1)
    with database.writing() as session:
        books = read_books(session, preset("seed"))
        if not books.chosen:
            choose_book(session, SHOP, ASIA, preset("s3-internet"), first, "admin", first)
        return read_books(session, preset("seed"))


def test_publishing_and_revoking_go_through_it(
    place: Workplace, approve_all: Callable[[], list[Approved]]
) -> None:
    approve_all()
    assert place.database.engine.dialect.name == "postgresql"
    assert _counts("publish", "--json") == {"published": 4, "refused": 0, "already": 0}
    assert _counts("publish", "--json") == {"published": 0, "refused": 0, "already": 4}
    with place.database.reading() as session:
        subjects = session.scalars(select(AuditRow.what)).all()
    assert subjects.count("publish") == 4


def test_the_audit_stays_as_it_was_written(empty: Both) -> None:
    database = empty[0].database
    with database.writing() as session:
        session.add(AuditRow(at=1, who="Ada", what="approve", subject="/a.jpg", detail={}))
    with database.writing() as session:
        session.execute(text("UPDATE audit SET who = 'x'"))
        session.execute(text("DELETE FROM audit"))
    with database.reading() as session:
        assert [row.who for row in session.scalars(select(AuditRow))] == ["Ada"]


def _counts(*arguments: str) -> dict[str, int]:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, int] = json.loads(result.output.splitlines()[-1])
    return found
