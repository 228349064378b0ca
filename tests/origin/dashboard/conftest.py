"""A console whose ledger is filled by hand, on a real socket; it has no model and draws nothing."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from deploy.layout import free_ports
from origin.console.accounts import Person, add_account
from origin.console.app import create_app
from origin.console.desk import Desk, open_desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs, not_here, open_queue, task_of
from origin.console.pictures import open_pictures
from origin.console.sessions import make_token
from origin.console.settings import read_console_settings
from origin.console.tables import AccountRow, Role
from origin.ledger.intake import Ledger
from origin.settings import OriginSettings
from origin.sync.tokens import admit
from tests.origin.dashboard.ledger_world import ASIA, SHOP

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "origin" / "samples" / "rumba"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """What the console works on: one property, one region, nothing counted."""
    shutil.copytree(ROOT / "deploy" / "properties", tmp_path / "properties")
    (port,) = free_ports(1)
    settings = read_console_settings(
        port=port, url=f"http://localhost:{port}", folder=tmp_path / "console"
    )
    origin = OriginSettings().model_copy(
        update={
            "properties_dir": tmp_path / "properties",
            "dam": {SHOP: f"folder:{SAMPLE}/gallery"},
            "galleries": {SHOP: SAMPLE},
        }
    )
    origin = origin.kept_in(tmp_path)
    admit(origin.region_tokens, ASIA, [SHOP])
    with open_desk(origin, settings) as opened:
        yield opened


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    return Ledger(desk.database)


@pytest.fixture
def web(desk: Desk) -> Iterator[str]:
    """The running console's address."""
    drawing = Drawing(open_pictures(desk.settings))
    jobs = Jobs(desk, task_of(open_queue(desk.settings.folder), not_here))
    app = create_app(desk, jobs, drawing)
    server = uvicorn.Server(uvicorn.Config(app, port=desk.settings.port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{desk.settings.port}"
    server.should_exit = True
    thread.join()
    drawing.close()


@pytest.fixture
def person(desk: Desk) -> Callable[[Role], Person]:
    """Somebody with that role, who has chosen a password."""

    def make(role: Role) -> Person:
        with desk.database.writing() as session:
            row = session.query(AccountRow).filter_by(name=role).one_or_none()
            if row is None:
                row = add_account(session, role, "correct horse battery", role, by="test")
            row.must_change = False
            return Person.of(row)

    return make


@pytest.fixture
def api(
    web: str, desk: Desk, person: Callable[[Role], Person]
) -> Iterator[Callable[[Role], httpx2.Client]]:
    """A client with a token of that role."""
    opened: list[httpx2.Client] = []

    def client(role: Role) -> httpx2.Client:
        token = make_token(desk.database, person(role), "test", role)
        headers = {"authorization": f"Bearer {token}"}
        opened.append(httpx2.Client(base_url=web, headers=headers, timeout=30))
        return opened[-1]

    yield client
    for one in opened:
        one.close()
