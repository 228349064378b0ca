"""Who may come in and what each may do, over real HTTP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from fastapi.routing import APIRoute

from kvsync.errors import InputError
from origin.console import accounts
from origin.console.accounts import Person, TooManyAttempts, authenticate, first_admin
from origin.console.app import routers
from origin.console.desk import Desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs
from origin.console.permissions import NEEDED, allows
from origin.console.pictures import open_pictures
from origin.console.sessions import make_token
from origin.console.settings import read_console_settings
from origin.console.tables import ROLES, AccountRow, Role
from tests.deploy.test_console_journey import WRITES
from tests.origin.console.conftest import PASSWORD, Room
from tests.origin.console.visitor import Visitor


def test_the_first_start_makes_one_admin_who_must_change_the_password(
    desk: Desk, visitor: Visitor
) -> None:
    password = first_admin(desk.database)
    assert password and first_admin(desk.database) is None
    visitor.log_in("admin", password)
    assert visitor.get("/").headers["location"] == "/password"
    changed = visitor.post("/password", {"old": password, "new": PASSWORD, "again": PASSWORD})
    assert changed.status_code == 303
    assert visitor.get("/").status_code == 200


def test_a_wrong_password_and_an_unknown_name_sound_alike(
    visitor: Visitor, person: Callable[[Role], Person]
) -> None:
    person("viewer")
    wrong = visitor.log_in("viewer", "wrong password")
    unknown = visitor.log_in("nobody", "wrong password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("viewer", "") == unknown.text.replace("nobody", "")


@pytest.mark.parametrize("name", ["viewer", "nobody"])
def test_guessing_is_slowed_down_for_names_that_are_and_names_that_are_not(
    desk: Desk, person: Callable[[Role], Person], name: str
) -> None:
    person("viewer")
    for _ in range(accounts.FREE_FAILURES):
        with pytest.raises(accounts.LoginRefused):
            authenticate(desk.database, name, "wrong password", "192.0.2.1")
    with pytest.raises(TooManyAttempts, match="try again in"):
        authenticate(desk.database, name, PASSWORD, "192.0.2.2")


def test_many_guesses_at_once_are_as_many(desk: Desk, person: Callable[[Role], Person]) -> None:
    person("viewer")

    def guess(number: int) -> type[Exception] | None:
        try:
            authenticate(desk.database, "viewer", f"guess {number}", "192.0.2.1")
        except (accounts.LoginRefused, TooManyAttempts) as error:
            return type(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(guess, range(accounts.FREE_FAILURES + 6)))
    assert found.count(accounts.LoginRefused) == accounts.FREE_FAILURES
    assert found.count(TooManyAttempts) == 6


def test_a_cookie_is_of_no_use_to_scripts_or_other_sites(
    visitor: Visitor, person: Callable[[Role], Person]
) -> None:
    person("viewer")
    cookie = visitor.log_in("viewer", PASSWORD).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie


def test_logging_out_ends_the_session_here_too(
    logged_in: Callable[[Role], Visitor], web: str
) -> None:
    visitor = logged_in("viewer")
    stolen = dict(visitor.http.cookies)
    visitor.post("/logout")
    again = httpx2.get(f"{web}/", cookies=stolen)
    assert again.status_code == 303 and again.headers["location"].startswith("/login")


def test_a_write_without_the_pages_secret_is_refused(logged_in: Callable[[Role], Visitor]) -> None:
    visitor = logged_in("admin")
    visitor.csrf = "guessed"
    answer = visitor.post("/people", {"name": "eve", "role": "admin"})
    assert answer.status_code == 403 and "out of date" in answer.text


def test_a_write_from_another_site_is_refused(logged_in: Callable[[Role], Visitor]) -> None:
    visitor = logged_in("admin")
    form = {"csrf": visitor.csrf, "name": "eve", "role": "admin"}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = visitor.http.post("/people", data=form, headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize("next", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_a_login_never_leads_elsewhere(
    visitor: Visitor, person: Callable[[Role], Person], next: str
) -> None:
    person("viewer")
    form = {"name": "viewer", "password": PASSWORD, "next": next}
    assert visitor.http.post("/login", data=form).headers["location"] == "/"


def test_pages_forbid_scripts_and_frames_of_others(visitor: Visitor) -> None:
    policy = visitor.get("/login").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_somebody_has_to_stay_admin(logged_in: Callable[[Role], Visitor], desk: Desk) -> None:
    visitor = logged_in("admin")
    with desk.database.reading() as session:
        number = session.query(AccountRow).filter_by(name="admin").one().id
    answer = visitor.post(f"/people/{number}", {"role": "viewer"})
    assert answer.status_code == 422 and "stay admin" in answer.text


def test_a_token_does_no_more_than_it_was_made_for(
    web: str, desk: Desk, person: Callable[[Role], Person]
) -> None:
    token = make_token(desk.database, person("admin"), "reader", "viewer")
    headers = {"authorization": f"Bearer {token}"}
    assert httpx2.get(f"{web}/api/v1/properties", headers=headers).status_code == 200
    publish = httpx2.post(f"{web}/api/v1/properties/rumba/publish", headers=headers, json={})
    assert publish.status_code == 403
    assert publish.headers["content-type"] == "application/problem+json"
    with pytest.raises(InputError, match="viewer at most"):
        make_token(desk.database, person("viewer"), "too much", "operator")


def test_a_revoked_token_is_worth_nothing(logged_in: Callable[[Role], Visitor], web: str) -> None:
    visitor = logged_in("viewer")
    shown = visitor.post("/tokens", {"name": "mine", "role": "viewer"}).text
    token = shown.partition('class="secret mono">')[2].partition("<")[0]
    headers = {"authorization": f"Bearer {token}"}
    assert httpx2.get(f"{web}/api/v1/audit", headers=headers).status_code == 200
    visitor.post("/tokens/1/revoke")
    assert httpx2.get(f"{web}/api/v1/audit", headers=headers).status_code == 401


def test_passwords_and_tokens_are_kept_as_digests(
    desk: Desk, person: Callable[[Role], Person], room: Room
) -> None:
    token = make_token(desk.database, person("admin"), "one", "viewer")
    with desk.database.reading() as session:
        assert session.query(AccountRow).one().password.startswith("$argon2id$")
    everything = b"".join(one.read_bytes() for one in room.folder.glob("origin.db*"))
    assert token.encode() not in everything and PASSWORD.encode() not in everything


@pytest.mark.parametrize("role", [None, *ROLES])
def test_every_route_admits_just_the_roles_of_the_table(
    role: Role | None,
    desk: Desk,
    jobs: Jobs,
    web: str,
    logged_in: Callable[[Role], Visitor],
) -> None:
    visitor = logged_in(role) if role else Visitor(web)
    for name, method, path in _routes(desk, jobs):
        needed = NEEDED[name]
        if name in ("log_out", "change_password", "log_in"):
            continue
        answer = visitor.http.request(method, path, headers={"x-csrf-token": visitor.csrf})
        where = f"{role} {method} {path}: {answer.status_code}"
        if needed is None:
            assert answer.status_code not in (401, 403), where
        elif role is None:
            to_login = answer.headers.get("location", "").startswith("/login")
            assert answer.status_code == 401 or to_login, where
        elif allows(role, needed):
            assert answer.status_code not in (401, 403), where
        else:
            assert answer.status_code == 403, where


def test_the_journey_tries_every_write_as_a_viewer(desk: Desk, jobs: Jobs) -> None:
    parts = routers(desk, jobs, Drawing(open_pictures(desk.settings)))
    writes = [
        one
        for part in parts
        for one in part.routes
        if isinstance(one, APIRoute) and "POST" in (one.methods or ())
    ]
    refused = [one for one in writes if NEEDED[one.name] not in (None, "viewer")]
    missed = [
        one.path
        for one in refused
        if not one.path.startswith("/api/")
        and not any(one.path_regex.fullmatch(path) for path, _ in WRITES)
    ]
    assert refused and missed == []


def test_what_is_too_large_is_told_to_programs_as_a_problem(web: str) -> None:
    for path, kind in (("/api/v1/undo", "application/problem+json"), ("/undo", "text/plain")):
        with httpx2.Client(base_url=web) as client:
            answer = client.post(path, content=iter([b"no length"]))
        assert answer.status_code == 411 and answer.headers["content-type"].startswith(kind)


def _routes(desk: Desk, jobs: Jobs) -> list[tuple[str, str, str]]:
    """(name, method, a path that fits) of every route, by the routers themselves."""
    drawing = Drawing(open_pictures(desk.settings))
    filled = {
        "property": "rumba",
        "family": "rumba",
        "upload": "x",
        "kind": "thumb",
        "step": "pause",
    }
    found = []
    for part in routers(desk, jobs, drawing):
        for route in (one for one in part.routes if isinstance(one, APIRoute)):
            path: str = route.path
            for parameter in route.param_convertors:
                path = path.replace(f"{{{parameter}}}", filled.get(parameter, "1"))
            found += [(route.name, one, path) for one in route.methods or ()]
    return found


@pytest.mark.parametrize("url", ["http://console.example", "ftp://localhost", "console"])
def test_passwords_never_cross_a_network_in_the_clear(url: str) -> None:
    with pytest.raises(InputError, match="CONSOLE_URL"):
        read_console_settings(url=url)


def test_at_an_address_that_there_is_not_the_ways_on_stand_there(
    logged_in: Callable[[Role], Visitor], web: str
) -> None:
    lost = logged_in("viewer").get("/nowhere")
    assert lost.status_code == 404 and "There is no such page" in lost.text
    for where in ("/dashboard", "/hitlist", "/audit"):
        assert f'href="{where}"' in lost.text
    nobody = httpx2.get(f"{web}/nowhere", headers={"authorization": "Bearer none"})
    assert nobody.status_code == 404 and 'href="/dashboard"' not in nobody.text
