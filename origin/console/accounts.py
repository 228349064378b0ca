"""People: their accounts, how they prove who they are, and how guessing is slowed down."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from kvsync.errors import InputError, RequestError
from origin.console.tables import ROLES, AccountRow, AttemptRow, Role, SessionRow
from origin.database import Database
from origin.qa import audit, find_or_add_approver, this_user

LEAST_PASSWORD: Final = 12
MOST_PASSWORD: Final = 200
# After so many failures in a row there is a wait, which each further one doubles, up to an hour.
FREE_FAILURES: Final = 5
FIRST_WAIT_S: Final = 15
LONGEST_WAIT_S: Final = 3_600
# An address is many people's, so it gets more.
FREE_FAILURES_OF_ADDRESS: Final = 50

_hasher = PasswordHasher()  # argon2id with RFC 9106's second recommended setting
# Checked for names that nobody has, so that both answers take as long.
_NOBODY: Final = _hasher.hash(secrets.token_urlsafe(16))


class LoginRefused(RequestError):
    status = 401
    reason = "login"


class TooManyAttempts(RequestError):
    status = 429
    reason = "login-rate"


@dataclass(frozen=True)
class Person:
    """Somebody who proved who they are."""

    account_id: int
    name: str
    role: Role
    approver_id: bytes
    must_change: bool

    @classmethod
    def of(cls, row: AccountRow, role: Role | None = None) -> "Person":
        own = role_named(row.role)
        least = min(own, role or own, key=ROLES.index)
        return cls(row.id, row.name, least, row.approver_id, row.must_change)


def role_named(name: str) -> Role:
    for role in ROLES:
        if role == name:
            return role
    raise InputError(f"role {name[:40]!r}: choose one of {', '.join(ROLES)}")


def first_admin(database: Database) -> str | None:
    """Make the account ``admin`` where there is none yet; its one-time password."""
    with database.writing() as session:
        if session.scalar(select(func.count()).select_from(AccountRow)):
            return None
        password = secrets.token_urlsafe(12)
        add_account(session, "admin", password, "admin", by="first start")
    return password


def add_account(session: Session, name: str, password: str, role: str, *, by: str) -> AccountRow:
    """A new account, whose password has to be changed at the first login."""
    name = name.strip()
    if not 1 <= len(name) <= 80 or any(not letter.isprintable() for letter in name):
        raise InputError("an account's name has 1 to 80 printable letters")
    if session.scalar(select(AccountRow).where(AccountRow.name == name)):
        raise InputError(f"there is an account {name!r} already")
    _check_password(password)
    row = AccountRow(
        name=name,
        password=_hasher.hash(password),
        role=role_named(role),
        approver_id=find_or_add_approver(session, name).id,
        must_change=True,
        made_at=int(time.time()),
        disabled_at=None,
    )
    session.add(row)
    session.flush()
    audit(session, by, "account", name, role=role)
    return row


def authenticate(database: Database, name: str, password: str, address: str) -> Person:
    """The person with that name and password.

    Raises :class:`TooManyAttempts` while guesses are slowed down, for names that nobody has too,
    and :class:`LoginRefused`, which does not say which of the two was wrong.
    """
    now = int(time.time())
    subjects = {
        _digest(f"name:{name.strip().casefold()}"): FREE_FAILURES,
        _digest(f"address:{address}"): FREE_FAILURES_OF_ADDRESS,
    }
    # Counted before it is known to be one, so that many guesses at once are not one.
    with database.writing() as session:
        for subject, free in subjects.items():
            _demand_patience(session.get(AttemptRow, subject), free, now)
        _note_failure(session, subjects, now)
        row = session.scalar(select(AccountRow).where(AccountRow.name == name.strip()))
    right = _fits(row.password if row else _NOBODY, password[:MOST_PASSWORD])
    if row is None or not right or row.disabled_at is not None:
        raise LoginRefused("name or password is wrong")
    own, address_of = subjects
    with database.writing() as session:
        session.execute(delete(AttemptRow).where(AttemptRow.subject == own))
        session.get_one(AttemptRow, address_of).failures -= 1
    return Person.of(row)


def change_password(database: Database, person: Person, old: str, new: str) -> None:
    """:class:`InputError` unless ``old`` is right and ``new`` will do; other logins end."""
    _check_password(new)
    if old == new:
        raise InputError("choose another password than the one you have")
    with database.writing() as session:
        row = session.get_one(AccountRow, person.account_id)
        if not _fits(row.password, old[:MOST_PASSWORD]):
            raise InputError("the present password is wrong")
        row.password, row.must_change = _hasher.hash(new), False
        end_sessions(session, row.id)
        audit(session, person.name, "password", person.name)


def one_time_password(database: Database, name: str) -> str:
    """A new password that has to be changed at once; :class:`InputError` for an unknown name."""
    password = secrets.token_urlsafe(12)
    with database.writing() as session:
        row = session.scalar(select(AccountRow).where(AccountRow.name == name))
        if row is None:
            raise InputError(f"there is no account {name!r}")
        row.password, row.must_change, row.disabled_at = _hasher.hash(password), True, None
        end_sessions(session, row.id)
        audit(session, this_user(), "password", name, how="on the origin's machine")
    return password


def change_account(
    database: Database, account_id: int, *, role: str | None, disabled: bool, by: Person
) -> None:
    """Another role, or no way in any more; :class:`InputError` if no admin would be left."""
    with database.writing() as session:
        row = session.get(AccountRow, account_id)
        if row is None:
            raise InputError(f"there is no account {account_id}")
        row.role = role_named(role) if role else row.role
        row.disabled_at = int(time.time()) if disabled else None
        session.flush()
        admins = select(func.count()).where(
            AccountRow.role == "admin", AccountRow.disabled_at.is_(None)
        )
        if not session.scalar(admins):
            raise InputError("somebody has to stay admin")
        end_sessions(session, row.id)
        audit(session, by.name, "account", row.name, role=row.role, disabled=disabled)


def end_sessions(session: Session, account_id: int) -> None:
    for one in session.scalars(select(SessionRow).where(SessionRow.account_id == account_id)):
        session.delete(one)


def _check_password(password: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise InputError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")


def _fits(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except VerifyMismatchError:
        return False


def _demand_patience(row: AttemptRow | None, free: int, now: int) -> None:
    if row is None or row.failures < free:
        return
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(row.failures - free, 20))
    left_s = row.last_at + wait_s - now
    if left_s > 0:
        raise TooManyAttempts(f"too many wrong passwords: try again in {left_s} s")


def _note_failure(session: Session, subjects: dict[bytes, int], now: int) -> None:
    for subject in subjects:
        row = session.get(AttemptRow, subject)
        if row is None:
            row = AttemptRow(subject=subject, failures=0, last_at=now)
            session.add(row)
        forgotten = now - row.last_at > LONGEST_WAIT_S
        row.failures = 1 if forgotten else row.failures + 1
        row.last_at = now


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
