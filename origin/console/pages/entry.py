"""Coming and going: login, logout, one's own password."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from kvsync.errors import InputError
from origin.console.access import Asking, cookie_name
from origin.console.accounts import LoginRefused, TooManyAttempts, authenticate, change_password
from origin.console.desk import Desk
from origin.console.rendering import go, page
from origin.console.sessions import SESSION_S, close_session, open_session


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def let_in(answer: Response, cookie: str) -> Response:
        answer.set_cookie(
            cookie_name(desk),
            cookie,
            max_age=SESSION_S,
            secure=desk.settings.secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    @router.get("/login")
    def login_page(request: Request, next: str = "/") -> Response:
        return page(request, "login.html", next=_local(next), fault="", name="")

    @router.post("/login")
    def log_in(
        request: Request,
        name: Annotated[str, Form(max_length=80)],
        password: Annotated[str, Form(max_length=1_000)],
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        address = request.client.host if request.client else ""
        try:
            person = authenticate(desk.database, name, password, address)
        except (LoginRefused, TooManyAttempts) as error:
            return page(
                request, "login.html", error.status, next=_local(next), fault=str(error), name=name
            )
        return let_in(go(_local(next)), open_session(desk.database, person))

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        if cookie := request.cookies.get(cookie_name(desk)):
            close_session(desk.database, cookie)
        answer = go("/login")
        answer.delete_cookie(cookie_name(desk), secure=desk.settings.secure, httponly=True)
        return answer

    @router.get("/password")
    def password_page(request: Request) -> Response:
        return page(request, "password.html")

    @router.post("/password", name="change_password")
    def change_own_password(
        person: Asking,
        old: Annotated[str, Form()],
        new: Annotated[str, Form()],
        again: Annotated[str, Form()],
    ) -> Response:
        if new != again:
            raise InputError("the new password was not typed the same twice")
        change_password(desk.database, person, old, new)
        return let_in(go("/", "Your password is changed."), open_session(desk.database, person))

    return router


def _local(path: str) -> str:
    """A path of ours to go on to; anything that could lead elsewhere is the first page."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"
