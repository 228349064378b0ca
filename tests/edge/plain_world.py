"""A world around an edge whose property passes everything through to an origin of the test's."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.edge.world import Peer, World

PROPERTY = """
id = "plain"
hosts = ["127.0.0.1", "localhost"]
pass_through = true
origin_deadline_ms = 2000
[caching]
negative_s = 0
"""
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS M-SEARCH PROPFIND".split()
Make = Callable[[Request], Response]


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class PlainOrigin(Peer):
    """Answers with what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(Starlette(routes=[Route("/{path:path}", self._answer, methods=METHODS)]))
        self.seen: list[Seen] = []
        self.make: Make = lambda request: Response(b"plain")

    async def _answer(self, request: Request) -> Response:
        query = request.scope["query_string"].decode()
        target = request.scope["raw_path"].decode() + (f"?{query}" if query else "")
        body = await request.body()
        self.seen.append(Seen(request.method, target, dict(request.headers), body))
        await self.wait_while_hung()
        return self.make(request)

    def say(self, body: bytes = b"plain", status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.make = lambda request: Response(body, status, named)


@dataclass
class Plain:
    world: World
    origin: PlainOrigin

    async def ask(self, method: str, path: str = "/a", **changed: Any) -> httpx2.Response:
        return await self.world.client.request(method, path, **changed)

    async def get(self, path: str = "/a", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", path, headers=named)


@contextlib.asynccontextmanager
async def plain_edge(world: World, folder: Path) -> AsyncIterator[Plain]:
    """The edge of ``world``, started with the property above alone."""
    origin = PlainOrigin()
    await origin.start()
    folder.mkdir()
    (folder / "plain.toml").write_text(PROPERTY)
    await world.start_edge(properties_dir=folder, origin_url=origin.url)
    yield Plain(world, origin)
    origin.hung = False
    await world.stop_edge()
    origin.kill()


def status(answer: httpx2.Response) -> str:
    return answer.headers["cache-status"]
