"""Who is asking: browsers by a cookie, programs by a token. Only digests of either are kept."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from kvsync.errors import InputError, RequestError
from origin.console.accounts import Person, role_named
from origin.console.tables import ROLES, SessionRow, TokenRow
from origin.database import Database
from origin.qa import audit

SESSION_S: Final = 12 * 3_600
IDLE_S: Final = 2 * 3_600
# Written down this often, not at every request.
_NOTED_EVERY_S: Final = 60
TOKEN_PREFIX: Final = "rehydrate_"


class NotLoggedIn(RequestError):
    status = 401
    reason = "login"


class Forbidden(RequestError):
    status = 403
    reason = "forbidden"


@dataclass(frozen=True)
class Login:
    """A request's person; ``csrf`` is what a browser's writes must bring, None for a token's."""

    person: Person
    csrf: str | None


def open_session(database: Database, person: Person) -> str:
    """A new cookie's value; whatever the browser had before is worth nothing here."""
    cookie, now = secrets.token_urlsafe(32), int(time.time())
    with database.writing() as session:
        session.add(
            SessionRow(
                digest=_digest(cookie),
                account_id=person.account_id,
                csrf=secrets.token_urlsafe(24),
                made_at=now,
                seen_at=now,
            )
        )
    return cookie


def login_of_cookie(database: Database, cookie: str) -> Login:
    """:class:`NotLoggedIn` when the session ended, or its account did."""
    now = int(time.time())
    with database.reading() as session:
        row = session.get(SessionRow, _digest(cookie))
    if row is None or row.account.disabled_at is not None:
        raise NotLoggedIn("log in first")
    if now - row.made_at > SESSION_S or now - row.seen_at > IDLE_S:
        raise NotLoggedIn("the login ended: log in again")
    if now - row.seen_at > _NOTED_EVERY_S:
        with database.writing() as session:
            if found := session.get(SessionRow, row.digest):
                found.seen_at = now
    return Login(Person.of(row.account), row.csrf)


def close_session(database: Database, cookie: str) -> None:
    with database.writing() as session:
        if row := session.get(SessionRow, _digest(cookie)):
            session.delete(row)


def make_token(database: Database, person: Person, name: str, role: str) -> str:
    """A new token of at most the person's own role; shown once, kept as a digest."""
    wanted = role_named(role)
    if ROLES.index(wanted) > ROLES.index(person.role):
        raise InputError(f"a token of yours may be {person.role} at most")
    if not 1 <= len(name.strip()) <= 80:
        raise InputError("a token's name has 1 to 80 letters")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with database.writing() as session:
        session.add(
            TokenRow(
                digest=_digest(token),
                account_id=person.account_id,
                name=name.strip(),
                role=wanted,
                made_at=int(time.time()),
            )
        )
        audit(session, person.name, "token", name.strip(), role=wanted)
    return token


def revoke_token(database: Database, person: Person, token_id: int) -> None:
    """One's own token, or anybody's for an admin."""
    with database.writing() as session:
        row = session.get(TokenRow, token_id)
        if row is None or (row.account_id != person.account_id and person.role != "admin"):
            raise InputError(f"there is no token {token_id} of yours")
        row.revoked_at = row.revoked_at or int(time.time())
        audit(session, person.name, "token revoked", row.name)


def login_of_token(database: Database, token: str) -> Login:
    now = int(time.time())
    with database.reading() as session:
        row = session.scalar(select(TokenRow).where(TokenRow.digest == _digest(token)))
    if row is None or row.revoked_at is not None or row.account.disabled_at is not None:
        raise NotLoggedIn("the token is not known, or not valid any more")
    if now - (row.used_at or 0) > _NOTED_EVERY_S:
        with database.writing() as session:
            session.get_one(TokenRow, row.id).used_at = now
    return Login(Person.of(row.account, role_named(row.role)), None)


def _digest(secret: str) -> bytes:
    # The secret has 256 random bits: nothing slower is needed.
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()
