"""A console over the sample gallery and the shipped model, on a real socket."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from origin.console.accounts import Person, add_account
from origin.console.app import create_app
from origin.console.desk import Desk, open_desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs, not_here, open_queue, task_of
from origin.console.sessions import make_token
from origin.console.settings import read_console_settings
from origin.console.tables import AccountRow, Role
from origin.console.worker import LoadedModels, run
from origin.publish import Publisher
from origin.settings import read_settings
from tests.origin.console.visitor import Visitor

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "origin" / "samples" / "rumba"
PASSWORD = "correct horse battery"

PROMPTS = """\
black lace, black sole, front view
red lace, white sole, front view, Steps: 1, Seed: 7, Size: 768x768
white lace, red sole, three-quarter view
"""


@pytest.fixture
def desk(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Everything in a fresh folder; the shipped model is kept and known."""
    monkeypatch.setenv("ORIGIN_PROPERTIES_DIR", str(ROOT / "deploy" / "properties"))
    monkeypatch.setenv("ORIGIN_DAM", f"rumba=folder:{SAMPLE}/gallery")
    monkeypatch.setenv("ORIGIN_GALLERIES", f"rumba={SAMPLE}")
    monkeypatch.setenv("ORIGIN_DATABASE_URL", f"sqlite:///{tmp_path}/origin.db")
    monkeypatch.setenv("ORIGIN_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("ORIGIN_SIGNING_KEY", str(tmp_path / "keys" / "signing.key"))
    (tmp_path / "models").mkdir()
    settings = read_console_settings(
        port=free_port, url=f"http://localhost:{free_port}", folder=tmp_path / "console"
    )
    with open_desk(read_settings(), settings) as opened:
        publisher = Publisher(opened.site("rumba"), opened.database, opened.models, opened.key)
        publisher.add_model(SAMPLE / "model", "rumba")
        yield opened


@pytest.fixture
def jobs(desk: Desk) -> Jobs:
    return Jobs(desk, task_of(open_queue(desk.settings.folder), not_here))


@pytest.fixture
def do_job(desk: Desk) -> Callable[[int], None]:
    """What the worker does with a job's number, done here and now."""
    models = LoadedModels(desk)
    return lambda job_id: run(desk, models, job_id)


@pytest.fixture
def web(desk: Desk, jobs: Jobs) -> Iterator[str]:
    """The address of the running console."""
    drawing = Drawing(desk.settings.folder / "pictures", desk.settings.pictures_bytes)
    config = uvicorn.Config(
        create_app(desk, jobs, drawing), port=desk.settings.port, log_level="error"
    )
    server = uvicorn.Server(config)
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
                row = add_account(session, role, PASSWORD, role, by="test")
            row.must_change = False
            return Person.of(row)

    return make


@pytest.fixture
def api(
    web: str, desk: Desk, person: Callable[[Role], Person]
) -> Iterator[Callable[[Role], httpx2.Client]]:
    """A client of the API with a token of that role."""
    opened: list[httpx2.Client] = []

    def client(role: Role) -> httpx2.Client:
        token = make_token(desk.database, person(role), "test", role)
        headers = {"authorization": f"Bearer {token}"}
        opened.append(httpx2.Client(base_url=f"{web}/api/v1", headers=headers, timeout=30))
        return opened[-1]

    yield client
    for one in opened:
        one.close()


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
