"""The control plane's database: SQLite by default, PostgreSQL by URL, migrated when opened."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.orm import Session

from kvsync.errors import InputError
from origin.tables import PropertyRow

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_TIMEOUT_S = 10
_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Database:
    """Sessions on one database; :class:`InputError` when it cannot be opened or is newer."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.engine = _engine(url)
            with self._begin(writes=True) as connection:
                _migrate(connection)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise InputError(f"ORIGIN_DATABASE_URL: {error}") from error
        except (DatabaseError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise InputError(f"{_shown(url)}: cannot open the database: {cause}") from error
        except CommandError as error:
            raise InputError(
                f"{_shown(url)}: made by another version of this program: {error}"
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._begin(writes=False) as connection, Session(connection) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: all of it is kept, or, when the block raises, none."""
        with self._begin(writes=True) as connection:
            with Session(connection, expire_on_commit=False) as session:
                yield session
                session.flush()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        with self.engine.connect().execution_options(writes=writes) as connection:
            with connection.begin():
                yield connection


def insert_into(session: Session, table: Table) -> Any:
    """An ``INSERT`` of the session's own dialect, which can say what happens on a conflict."""
    return _INSERT[session.get_bind().dialect.name](table)


def next_seq(session: Session, property: str, count: int = 1) -> int:
    """The first of the property's next ``count`` sequence numbers.

    Concurrent writers never get the same one. Each that is taken has to become an entry of the
    log in this transaction: the log ends before one that is missing.
    """
    count_up = (
        update(PropertyRow)
        .where(PropertyRow.id == property)
        .values(seq=PropertyRow.seq + count)
        .returning(PropertyRow.seq)
    )
    return session.execute(count_up).scalar_one() - count + 1


def ensure_property(session: Session, property: str) -> None:
    if session.get(PropertyRow, property) is None:
        session.add(PropertyRow(id=property, seq=0))
        session.flush()


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own implicit BEGIN comes too late to lock; _begin_sqlite sends one instead.
    connection.isolation_level = None
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # Without statistics it would rather index a whole table anew than look up some hundred rows.
    connection.execute("PRAGMA automatic_index=OFF")


def _write_ahead(connection: sqlite3.Connection) -> None:
    # The busy timeout does not cover this switch, which two starting services may make at once.
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer fails at once when another wrote meanwhile: writers lock first.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Held to the end of the transaction, so that two starting services take turns.
        connection.execute(text("SELECT pg_advisory_xact_lock(7237128)"))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _shown(url: str) -> str:
    """The URL without its password."""
    return make_url(url).render_as_string(hide_password=True)
