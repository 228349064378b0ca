"""A console over the sample gallery and the shipped model, on a real socket.

There is one for all tests of a process; each begins with its database as it was made, or, with
``drawn``, as it was after a job had drawn three candidates.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from deploy.layout import free_ports
from origin.console.accounts import Person, add_account
from origin.console.app import create_app
from origin.console.desk import Desk, open_desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs, not_here, open_queue, task_of
from origin.console.pictures import open_pictures
from origin.console.sessions import make_token
from origin.console.sets import lines_of_file, preview, take_in
from origin.console.settings import read_console_settings
from origin.console.tables import AccountRow, Role
from origin.console.worker import LoadedModels, run
from origin.publish import Publisher
from origin.settings import read_settings
from tests.origin.console.visitor import Visitor
from tests.origin.running import served

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "origin" / "samples" / "rumba"
PASSWORD = "correct horse battery"

PROMPTS = """\
black lace, black sole, front view
red lace, white sole, front view, Steps: 1, Seed: 7, Size: 768x768
white lace, red sole, three-quarter view
"""


@dataclass(frozen=True)
class Room:
    """The running console, and its database as files to begin again from."""

    folder: Path
    desk: Desk
    jobs: Jobs
    models: LoadedModels
    web: str

    @property
    def bare(self) -> Path:
        return self.folder / "bare.db"

    @property
    def drawn(self) -> Path:
        return self.folder / "drawn.db"

    def keep(self, path: Path) -> None:
        _copy(self.folder / "origin.db", path)

    def begin_from(self, path: Path) -> None:
        _copy(path, self.folder / "origin.db")


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Everything in a fresh folder; the shipped model is kept and known."""
    folder = tmp_path_factory.mktemp("console")
    shutil.copytree(ROOT / "deploy" / "properties", folder / "properties")
    (folder / "models").mkdir()
    (port,) = free_ports(1)
    settings = read_console_settings(
        port=port,
        url=f"http://localhost:{port}",
        folder=folder / "console",
        analysis=folder / "analysis",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _environment(folder).items():
            patch.setenv(name, value)
        origin = read_settings()
    with open_desk(origin, settings) as desk:
        publisher = Publisher(desk.site("rumba"), desk.database, desk.models, desk.key)
        publisher.add_model(SAMPLE / "model", "rumba")
        jobs = Jobs(desk, task_of(open_queue(settings.folder), not_here))
        with serving(desk, jobs) as web:
            one = Room(folder, desk, jobs, LoadedModels(desk), web)
            one.keep(one.bare)
            yield one


def _environment(folder: Path) -> dict[str, str]:
    return {
        "ORIGIN_PROPERTIES_DIR": str(folder / "properties"),
        "ORIGIN_DAM": f"rumba=folder:{SAMPLE}/gallery",
        "ORIGIN_GALLERIES": f"rumba={SAMPLE}",
        "ORIGIN_STORES": f"folder:{folder}/stores",
        "ORIGIN_DATABASE_URL": f"sqlite:///{folder}/origin.db",
        "ORIGIN_MODELS": f"folder:{folder / 'models'}",
        "ORIGIN_SIGNING_KEY": str(folder / "keys" / "signing.key"),
        "ORIGIN_REGION_TOKENS": str(folder / "keys" / "regions.json"),
    }


@contextmanager
def serving(desk: Desk, jobs: Jobs) -> Iterator[str]:
    """The address of a console that runs until the block ends."""
    drawing = Drawing(open_pictures(desk.settings))
    with served(create_app(desk, jobs, drawing), desk.settings.port):
        yield f"http://127.0.0.1:{desk.settings.port}"
    drawing.close()


@pytest.fixture
def desk(room: Room) -> Desk:
    """What the console works on, with nobody and nothing in it but the model."""
    room.begin_from(room.bare)
    return room.desk


@pytest.fixture
def drawn(room: Room, desk: Desk) -> Desk:
    """The same after an operator's prompt set of three rows was drawn: set 1, job 1."""
    if not room.drawn.exists():
        with desk.database.writing() as session:
            operator = Person.of(add_account(session, "drawer", PASSWORD, "operator", by="test"))
        found = preview(desk, "rumba", "rumba", lines_of_file(PROMPTS.encode(), "one.txt"))
        set_id = take_in(desk, "rumba", "rumba", "one.txt", found.good, operator)
        run(desk, room.models, room.jobs.start(set_id, 2, 80.0, operator))
        room.keep(room.drawn)
    room.begin_from(room.drawn)
    return desk


@pytest.fixture
def jobs(room: Room, desk: Desk) -> Jobs:
    return room.jobs


@pytest.fixture
def do_job(room: Room, desk: Desk) -> Callable[[int], None]:
    """What the worker does with a job's number, done here and now."""
    return lambda job_id: run(desk, room.models, job_id)


@pytest.fixture
def web(room: Room, desk: Desk) -> str:
    """The address of the running console."""
    return room.web


@pytest.fixture
def person(desk: Desk) -> Callable[[Role], Person]:
    """Somebody with that role, who has chosen a password."""

    def make(role: Role) -> Person:
        with desk.database.writing() as session:
            row = session.query(AccountRow).filter_by(name=role).one_or_none()
            if row is None:
                row = add_account(session, role, PASSWORD, role, by="test")
            row.must_change = False
            return Person.of(row)

    return make


@contextmanager
def with_tokens(
    base_url: str, desk: Desk, person: Callable[[Role], Person]
) -> Iterator[Callable[[Role], httpx2.Client]]:
    """Makes clients with a token of a role; all of them are closed in the end."""
    opened: list[httpx2.Client] = []

    def client(role: Role) -> httpx2.Client:
        token = make_token(desk.database, person(role), "test", role)
        headers = {"authorization": f"Bearer {token}"}
        opened.append(httpx2.Client(base_url=base_url, headers=headers, timeout=30))
        return opened[-1]

    yield client
    for one in opened:
        one.close()


@pytest.fixture
def api(
    web: str, desk: Desk, person: Callable[[Role], Person]
) -> Iterator[Callable[[Role], httpx2.Client]]:
    """A client of the API with a token of that role."""
    with with_tokens(f"{web}/api/v1", desk, person) as client:
        yield client


@pytest.fixture
def visitor(web: str) -> Iterator[Visitor]:
    """Nobody yet."""
    one = Visitor(web)
    yield one
    one.http.close()


@pytest.fixture
def logged_in(web: str, person: Callable[[Role], Person]) -> Iterator[Callable[[Role], Visitor]]:
    opened: list[Visitor] = []

    def visit(role: Role) -> Visitor:
        person(role)
        opened.append(Visitor(web))
        opened[-1].log_in(role, PASSWORD)
        return opened[-1]

    yield visit
    for one in opened:
        one.http.close()
