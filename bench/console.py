"""The operators' console with 100 000 candidates: how long every page of it takes.

The rows go in through the product's tables, the console is the real command in a process of its
own, and each page is asked over HTTP with an admin's cookie, in turns, so that all of them see the
same machine. Times are a client's: from the request to the last byte of the answer.
"""

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import httpx2
from fastapi.routing import APIRoute
from rich.console import Console
from rich.table import Table

from bench._console_rows import SEQ, Filling
from deploy.console_alone import ConsoleAlone
from deploy.parts import PROPERTY
from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.app import routers
from origin.console.desk import Desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs, not_here
from origin.console.pictures import open_pictures
from origin.console.sessions import login_of_cookie, make_token, open_session

CANDIDATES = 100_000
BASELINE = "login_page"
# Files and streams: what they take is bytes, not a page's time.
FILES = {
    "static",
    "healthz",
    "openapi",
    "picture",
    "export_audit",
    "rejected_lines",
    "example_set",
    "api_manifest",
    "dashboard_static",
    "rows_csv",
    "family_manifest",
    # Of a hit list, which candidates are not in.
    "hitlist_export",
    "hitlist_family",
    "hitlist_picture",
}
# What stands for each part of a path.
_PARTS = {
    "property": PROPERTY,
    "set_id": "3",
    "candidate_id": "40001",
    "job_id": "1",
    "number": "1",
    "table": "answers",
    "seq": str(SEQ),
}
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
        alone = ConsoleAlone(Path(folder))
        with alone.desk() as (desk, model, person):
            Filling(desk, person, PROPERTY, CANDIDATES, model).fill()
            visitor, asks = _Visitor(desk, person), _asks(desk, CANDIDATES)
        console.print(f"filled in {time.perf_counter() - began:.0f} s; {len(asks)} pages")
        with alone.served():
            times = visitor.measure(alone.url, asks, 200 if full else 40)
    console.print(_table(times))
    return {"page_p95_ms": round(max(_p95(one) for one in times.values()) * 1e3, 1)}


class _Visitor:
    """Asks with an admin's cookie, or with a token where programs would."""

    def __init__(self, desk: Desk, person: Person) -> None:
        self._cookie = open_session(desk.database, person)
        self._csrf = login_of_cookie(desk.database, self._cookie).csrf or ""
        self._token = make_token(desk.database, person, "bench", "admin")

    def measure(self, url: str, asks: Sequence[Ask], rounds: int) -> dict[str, list[float]]:
        """Seconds of each answer, by page; the first round, which fills caches, does not count."""
        times: dict[str, list[float]] = defaultdict(list)
        with httpx2.Client(base_url=url, timeout=60) as client:
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
    live = f"/p/{PROPERTY}/live"
    found += [
        Ask("live_page", f"{live}?number=150", "deep"),
        Ask("live_page", f"{live}?like=0499", "by name"),
        Ask("audit_page", "/audit?who=somebody+else", "by person"),
        Ask("audit_page", "/audit?subject=bench%2F000001", "by subject"),
        Ask("test_urls", f"/properties/{PROPERTY}/urls", "20 URLs", {"urls": _URLS}),
        Ask("preview_set", f"/p/{PROPERTY}/preview", "100 rows",
            {"family": PROPERTY, "text": _PROMPTS}),
    ]  # fmt: skip
    return found


def _pages(desk: Desk) -> list[APIRoute]:
    """Every route that answers a GET with a page or with the API's JSON, by the app itself."""
    drawing = Drawing(open_pictures(desk.settings))
    parts = routers(desk, Jobs(desk, not_here), drawing)
    routes = [one for part in parts for one in part.routes if isinstance(one, APIRoute)]
    return [one for one in routes if "GET" in (one.methods or ()) and one.name not in FILES]


def _filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: _PARTS.get(part[1], PROPERTY), path)


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
