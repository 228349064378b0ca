"""The control plane's database: migrations, transactions, sequence numbers, the audit."""

import io
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

import origin.console.tables
import origin.migrations
from kvsync.errors import InputError
from origin.database import Database, ensure_property, next_seq
from origin.tables import AuditRow, Base, PropertyRow


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path}/new/origin.db")


def test_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_opening_it_again_keeps_what_is_there(database: Database) -> None:
    with database.writing() as session:
        ensure_property(session, "rumba")
        assert next_seq(session, "rumba") == 1
    with Database(database.url).writing() as session:
        ensure_property(session, "rumba")
        assert next_seq(session, "rumba") == 2


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing() as session:
        ensure_property(session, "rumba")
        raise RuntimeError
    with database.reading() as session:
        assert session.scalars(select(PropertyRow)).all() == []


def test_concurrent_writers_never_share_a_sequence_number(database: Database) -> None:
    with database.writing() as session:
        ensure_property(session, "rumba")
    seen: list[int] = []

    def write() -> None:
        other = Database(database.url)
        for _ in range(10):
            with other.writing() as session:
                seen.append(next_seq(session, "rumba"))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 41))


def test_services_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Database(f"sqlite:///{tmp_path}/origin.db").close()
        except InputError as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'x'", "DELETE FROM audit"])
def test_the_audit_cannot_be_changed(database: Database, statement: str) -> None:
    with database.writing() as session:
        session.add(AuditRow(at=1, who="Ada", what="approve", subject="/a.jpg", detail={}))
    with pytest.raises(IntegrityError, match="append-only"), database.writing() as session:
        session.execute(text(statement))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "ORIGIN_DATABASE_URL"),
        ("cobol://x", "ORIGIN_DATABASE_URL"),
        ("sqlite:////proc/none/origin.db", "cannot open the database"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line(url: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Database(url)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "origin.db"
    path.write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(InputError, match="not a database") as caught:
        Database(f"sqlite:///{path}")
    assert "\n" not in str(caught.value)
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_of_a_later_version_is_refused(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InputError, match="another version"):
        Database(database.url)


def test_the_migrations_are_valid_for_postgresql_too() -> None:
    script = io.StringIO()
    config = Config(output_buffer=script)
    config.set_main_option("script_location", str(Path(origin.migrations.__file__).parent))
    config.set_main_option("dialect", "postgresql")
    command.upgrade(config, "head", sql=True)
    assert "CREATE RULE audit_no_update" in script.getvalue()
    assert "signed BYTEA NOT NULL" in script.getvalue()
