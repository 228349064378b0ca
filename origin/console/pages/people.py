"""People: accounts and their roles, and everybody's own tokens."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import select

from origin.console.access import Asking
from origin.console.accounts import add_account as add
from origin.console.accounts import change_account as change
from origin.console.desk import Desk
from origin.console.rendering import go, page
from origin.console.sessions import make_token
from origin.console.sessions import revoke_token as revoke
from origin.console.tables import ROLES, AccountRow, TokenRow


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/people")
    def people_page(request: Request) -> Response:
        with desk.database.reading() as session:
            accounts = session.scalars(select(AccountRow).order_by(AccountRow.name)).all()
        return page(request, "people.html", accounts=accounts, roles=ROLES)

    @router.post("/people")
    def add_account(
        request: Request,
        person: Asking,
        name: Annotated[str, Form(max_length=80)],
        role: Annotated[str, Form()],
    ) -> Response:
        password = secrets.token_urlsafe(12)
        with desk.database.writing() as session:
            add(session, name, password, role, by=person.name)
        # Shown once, on a page that nobody keeps.
        return page(request, "password_once.html", name=name, secret=password, what="password")

    @router.post("/people/{account_id}")
    def change_account(
        account_id: int,
        person: Asking,
        role: Annotated[str, Form()],
        disabled: Annotated[bool, Form()] = False,
    ) -> Response:
        change(desk.database, account_id, role=role, disabled=disabled, by=person)
        return go("/people", "Changed.")

    @router.get("/tokens")
    def tokens_page(request: Request, person: Asking) -> Response:
        query = select(TokenRow).where(TokenRow.account_id == person.account_id)
        with desk.database.reading() as session:
            tokens = session.scalars(query.order_by(TokenRow.id.desc())).all()
        mine = ROLES[: ROLES.index(person.role) + 1]
        return page(request, "tokens.html", tokens=tokens, roles=mine)

    @router.post("/tokens")
    def add_token(
        request: Request,
        person: Asking,
        name: Annotated[str, Form(max_length=80)],
        role: Annotated[str, Form()],
    ) -> Response:
        token = make_token(desk.database, person, name, role)
        return page(request, "password_once.html", name=name, secret=token, what="token")

    @router.post("/tokens/{token_id}/revoke")
    def revoke_token(token_id: int, person: Asking) -> Response:
        revoke(desk.database, person, token_id)
        return go("/tokens", "The token is worth nothing any more.")

    return router
