"""Every request passes here: who asks, may they, and does it come from our own pages."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from kvsync.errors import RequestError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.permissions import NEEDED, allows
from origin.console.sessions import (
    Forbidden,
    Login,
    NotLoggedIn,
    login_of_cookie,
    login_of_token,
)

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Open to who has to change a one-time password first.
_WITHOUT_OWN_PASSWORD: Final = frozenset({"static", "password_page", "change_password", "log_out"})


class SeeOther(RequestError):
    """Not an answer to the question, but where to go first."""

    status = 303
    reason = "elsewhere"

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def cookie_name(desk: Desk) -> str:
    """A browser takes ``__Host-`` only with Secure, without a domain and for the root path."""
    return "__Host-console" if desk.settings.secure else "console"


def guard(desk: Desk) -> Callable[[Request], Awaitable[None]]:
    """The dependency of every route; leaves the :class:`Login` in ``request.state.login``.

    Raises NotLoggedIn (401), Forbidden (403), or SeeOther towards the login page.
    """

    async def check(request: Request) -> None:
        name: str = request.scope["route"].name
        needed = NEEDED[name]
        request.state.login = login = await login_of(desk, request)
        if needed is not None and login is None:
            raise _to_login(request)
        if login is not None and not allows(login.person.role, needed):
            raise Forbidden(
                f"that takes the role {needed}; {login.person.name} is a {login.person.role}"
            )
        if login is not None and login.person.must_change and name not in _WITHOUT_OWN_PASSWORD:
            raise SeeOther("/password")
        if request.method not in SAFE:
            await _demand_own_page(request, login)

    return check


def somebody(request: Request) -> Person:
    """The person who asks; only for routes that need one."""
    login: Login = request.state.login
    return login.person


Asking = Annotated[Person, Depends(somebody)]


async def login_of(desk: Desk, request: Request) -> Login | None:
    """Who asks; raises NotLoggedIn for a token that is none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.casefold() == "bearer":
        return await run_in_threadpool(login_of_token, desk.database, token.strip())
    cookie = request.cookies.get(cookie_name(desk))
    if not cookie:
        return None
    try:
        return await run_in_threadpool(login_of_cookie, desk.database, cookie)
    except NotLoggedIn:
        return None


def _to_login(request: Request) -> RequestError:
    if is_api(request) or request.method not in SAFE:
        return NotLoggedIn("log in first, or send a token")
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return SeeOther(f"/login?next={quote(path, safe='')}")


async def _demand_own_page(request: Request, login: Login | None) -> None:
    """Against forged requests (CSRF): the browser's word, and a secret that only our pages know."""
    site = request.headers.get("sec-fetch-site")
    source = request.headers.get("origin")
    if site not in (None, "same-origin", "none"):
        raise Forbidden("the request comes from another site")
    if source and urlsplit(source).netloc != request.headers.get("host"):
        raise Forbidden("the request comes from another site")
    if login is None or login.csrf is None:
        return
    sent = request.headers.get("x-csrf-token")
    if sent is None and "form" in request.headers.get("content-type", ""):
        form: FormData = await request.form()
        field = form.get("csrf")
        sent = field if isinstance(field, str) else None
    if sent is None or not secrets.compare_digest(sent.encode(), login.csrf.encode()):
        raise Forbidden("the page is out of date: load it again")


def is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")
