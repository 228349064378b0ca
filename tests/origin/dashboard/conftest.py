"""A console whose ledger is filled by hand, on a real socket; it has no model and draws nothing."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.layout import free_ports
from origin.console.accounts import Person
from origin.console.desk import Desk, open_desk
from origin.console.jobs import Jobs, not_here, open_queue, task_of
from origin.console.settings import read_console_settings
from origin.console.tables import Role
from origin.ledger.intake import Ledger
from origin.settings import OriginSettings
from origin.sync.tokens import admit
from tests.origin.console.conftest import person, serving, with_tokens
from tests.origin.dashboard.ledger_world import ASIA, SHOP

__all__ = ["person"]

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
    jobs = Jobs(desk, task_of(open_queue(desk.settings.folder), not_here))
    with serving(desk, jobs) as address:
        yield address


@pytest.fixture
def api(
    web: str, desk: Desk, person: Callable[[Role], Person]
) -> Iterator[Callable[[Role], httpx2.Client]]:
    """A client with a token of that role."""
    with with_tokens(web, desk, person) as client:
        yield client
