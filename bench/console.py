"""The operators' console with 100 000 candidates: how long every page of it takes.

The rows go in through the product's tables, the console is the real command in a process of its
own, and each page is asked over HTTP with an admin's cookie, in turns, so that all of them see the
same machine. Times are a client's: from the request to the last byte of the answer.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import httpx2
from fastapi.routing import APIRoute
from rich.console import Console
from rich.table import Table

from bench._console_rows import Filling
from deploy.layout import PROPERTIES, ROOT, SAMPLE, free_ports
from kvsync.errors import InputError
from origin.console.accounts import Person, add_account
from origin.console.app import routers
from origin.console.desk import Desk, open_desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs, not_here
from origin.console.sessions import login_of_cookie, make_token, open_session
from origin.console.settings import read_console_settings
from origin.publish import Publisher
from origin.settings import OriginSettings, read_settings

PROPERTY = "rumba"
BASELINE = "login_page"
# Files and streams: what they take is bytes, not a page's time.
FILES = {
    "static",
    "healthz",
    "openapi",
    "picture",
    "export_audit",
    "rejected_lines",
    "family_manifest",
}
# What stands for each part of a path.
_PARTS = {"property": PROPERTY, "set_id": "3", "candidate_id": "40001", "job_id": "1"}
_URLS = "\n".join(f"https://shop.example/{PROPERTY}/bench/{n:06}.jpg?w=384" for n in range(20))
_PROMPTS = "\n".join(f"rumba_red_white_front.jpg\tred lace, white sole, front view, Seed: {n}"
                     for n in range(100))  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """One page as it is asked for; ``form`` makes it a POST."""

    route: str
    path: str
    what: str = ""
    form: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        return f"{self.route}, {self.what}" if self.what else self.route


def run(full: bool = False) -> dict[str, object]:
    """Ask each page 40 times, or with `full` 200, of 100 000 candidates."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
        began = time.perf_counter()
        world = _World(Path(folder), console)
        asks = world.prepare(100_000)
        console.print(f"filled in {time.perf_counter() - began:.0f} s; {len(asks)} pages")
        with world.served():
            times = world.measure(asks, 200 if full else 40)
    console.print(_table(times))
    return {"page_p95_ms": round(max(_p95(one) for one in times.values()) * 1e3, 1)}


class _World:
    def __init__(self, folder: Path, console: Console) -> None:
        (port,) = free_ports(1)
        self._folder, self._console = folder, console
        self._port, self._url = port, f"http://127.0.0.1:{port}"
        self._cookie = self._token = self._csrf = ""

    def prepare(self, candidates: int) -> list[Ask]:
        """Fill the database; every page there is to ask."""
        settings = read_console_settings(**self._settings())
        with open_desk(self._origin(), settings) as desk:
            publisher = Publisher(desk.site(PROPERTY), desk.database, desk.models, desk.key)
            model = publisher.add_model(SAMPLE / "model", PROPERTY)
            person = self._admin(desk)
            Filling(desk, person, PROPERTY, candidates, model).fill()
            self._cookie = open_session(desk.database, person)
            self._csrf = login_of_cookie(desk.database, self._cookie).csrf or ""
            self._token = make_token(desk.database, person, "bench", "admin")
            return _asks(desk, candidates)

    @contextmanager
    def served(self) -> Iterator[None]:
        """The console's own command, until the block ends."""
        environment = os.environ | self._environment()
        command = [sys.executable, "-m", "deploy", "console", "serve"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        try:
            _wait_for(self._port, process)
            yield
        finally:
            process.terminate()
            process.wait(30)

    def measure(self, asks: Sequence[Ask], rounds: int) -> dict[str, list[float]]:
        """Seconds of each answer, by page; the first round, which fills caches, does not count."""
        times: dict[str, list[float]] = defaultdict(list)
        with httpx2.Client(base_url=self._url, timeout=60) as client:
            client.cookies.set("console", self._cookie)
            for number in range(rounds + 1):
                for ask in asks:
                    took = self._ask(client, ask)
                    if number:
                        times[ask.name].append(took)
        return times

    def _ask(self, client: httpx2.Client, ask: Ask) -> float:
        headers = {"authorization": f"Bearer {self._token}"} if "/api/" in ask.path else {}
        began = time.perf_counter()
        if ask.form is None:
            answer = client.get(ask.path, headers=headers)
        else:
            answer = client.post(ask.path, data={"csrf": self._csrf, **ask.form}, headers=headers)
        took = time.perf_counter() - began
        if answer.status_code != 200:
            raise InputError(f"{ask.path}: answers {answer.status_code}: {answer.text[-300:]}")
        return took

    def _admin(self, desk: Desk) -> Person:
        with desk.database.writing() as session:
            row = add_account(session, "bench", "correct horse battery", "admin", by="bench")
            row.must_change = False
            return Person.of(row)

    def _settings(self) -> dict[str, object]:
        return {"port": self._port, "url": self._url, "folder": self._folder / "console"}

    def _origin(self) -> OriginSettings:
        return read_settings().model_copy(
            update={
                "properties_dir": PROPERTIES,
                "dam": {PROPERTY: f"folder:{SAMPLE / 'gallery'}"},
                "galleries": {PROPERTY: SAMPLE},
            }
        ).kept_in(self._folder)  # fmt: skip

    def _environment(self) -> dict[str, str]:
        origin = self._origin()
        return {
            "ORIGIN_PROPERTIES_DIR": str(PROPERTIES),
            "ORIGIN_DAM": f"{PROPERTY}={origin.dam[PROPERTY]}",
            "ORIGIN_GALLERIES": f"{PROPERTY}={SAMPLE}",
            "ORIGIN_DATABASE_URL": origin.database_url,
            "ORIGIN_MODELS_DIR": str(origin.models_dir),
            "ORIGIN_SIGNING_KEY": str(origin.signing_key),
            **{f"CONSOLE_{name.upper()}": str(value) for name, value in self._settings().items()},
        }


def _asks(desk: Desk, candidates: int) -> list[Ask]:
    """Every page by its route, and those that many candidates could slow down in more ways."""
    found = [Ask(route.name, _filled(route.path)) for route in _pages(desk)]
    queue, half = f"/p/{PROPERTY}/queue", candidates // 2 // 60 // 2
    views = {
        "deep": f"number={half}",
        "rare state": "state=spare",
        "any state, deep": f"state=any&number={2 * half}",
        "by score": f"order=score&number={half}",
        "by colour": f"order=colour&number={half}",
        "by name": "order=path",
        "by name, deep": f"order=path&number={half}",
        "newest": f"order=newest&number={half}",
        "one family": "family=samba",
        "one set": "set=3",
    }
    found += [Ask("queue_page", f"{queue}?{query}", what) for what, query in views.items()]
    candidate = f"/candidates/{_PARTS['candidate_id']}"
    for what, query in views.items():
        if "number" not in query:
            found.append(Ask("candidate_page", f"{candidate}?{query}", what))
    found += [
        Ask("audit_page", "/audit?who=somebody+else", "by person"),
        Ask("audit_page", "/audit?subject=bench%2F000001", "by subject"),
        Ask("test_urls", f"/properties/{PROPERTY}/urls", "20 URLs", {"urls": _URLS}),
        Ask("preview_set", f"/p/{PROPERTY}/preview", "100 rows",
            {"family": PROPERTY, "text": _PROMPTS}),
    ]  # fmt: skip
    return found


def _pages(desk: Desk) -> list[APIRoute]:
    """Every route that answers a GET with a page or with the API's JSON, by the app itself."""
    drawing = Drawing(desk.settings.folder / "unused", 1 << 20)
    parts = routers(desk, Jobs(desk, not_here), drawing)
    routes = [one for part in parts for one in part.routes if isinstance(one, APIRoute)]
    return [one for one in routes if "GET" in (one.methods or ()) and one.name not in FILES]


def _filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: _PARTS.get(part[1], PROPERTY), path)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise InputError("the console did not start")


def _p95(times: Sequence[float]) -> float:
    return quantiles(times, n=20, method="inclusive")[-1]


def _table(times: Mapping[str, Sequence[float]]) -> Table:
    table = Table(title="Pages, slowest first; the ratio is to the login page's p50")
    for heading in ("page", "p50 ms", "p95 ms", "ratio"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    least = median(times[BASELINE])
    for name, one in sorted(times.items(), key=lambda item: -_p95(item[1])):
        middle = median(one)
        table.add_row(
            name, f"{middle * 1e3:.1f}", f"{_p95(one) * 1e3:.1f}", f"{middle / least:.1f}"
        )
    return table
