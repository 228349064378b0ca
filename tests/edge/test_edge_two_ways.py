"""A hit answered ahead of ASGI is the answer that the application gives, to the byte.

Ten thousand generated requests go down both ways, pipelined as they come: to an edge as it runs,
and to one whose protocol leaves everything to the application. A quarter of them is then asked
again one by one, twice: as requests that were read before. Time stands still.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from edge.app import PublicApp
from edge.hits import Hits
from edge.protocol import EdgeProtocol
from edge.server import Server, built, listen
from edge.settings import EdgeSettings
from edge.sites import Sites
from kvsync.signing import Keyring
from tests.edge.world import AVIF, HOST, JPEG, WEBP, World

REQUESTS = 10_000
AT_ONCE = 40
NOW = float(int(time.time())) + 0.25
# What differs from one answer to the next that is no hit: how long it took, its name.
VOLATILE = re.compile(rb"(server-timing: cache;dur=|x-request-id: )[^\r]*")
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")

TARGETS = (
    "/a.jpg /b.jpg?w=256 /b.jpg?w=256&utm=1 /a.jpg?fm=webp /%61.jpg /A.jpg /a.jpg?q=12 "
    "/a/../b.jpg /a.jpg?token=1 /a.jpg?w=x http://localhost/a.jpg /a.jpg?fm=gif * /a.jpg?w=1&w=2"
).split()
ACCEPTS = (AVIF, WEBP, JPEG, "image/*", "", "*/*;q=0.1", "image/avif;q=0, image/webp")
ETAGS = ('"no-such-tag"', "*", 'W/"x", "y"')
DATES = ("Thu, 09 Oct 2025 08:53:20 GMT", "Fri, 10 Oct 2025 08:53:20 GMT", "not a date")
RANGES = ("bytes=0-9", "bytes=5-", "bytes=-3", "bytes=900-", "bytes=0-1,4-5", "lines=1-2", "bytes=")
OTHERS = (
    "Cookie: session=1",
    "Authorization: Bearer x",
    "Cache-Control: no-cache",
    "Cache-Control: only-if-cached",
    "Cache-Control: no-store, only-if-cached",
    "Pragma: no-cache",
    "X-Request-Id: known",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Accept: image/avif",
    "Content-Length: 0",
    "Connection: keep-alive",
    "Accept-Encoding: gzip, br",
    "If-Match: *",
    "Upgrade: h2c",
)


def generated(rng: random.Random, etags: list[str]) -> bytes:
    """One request; most are for what is there, a few for everything else."""
    method = rng.choices(("GET", "HEAD", "POST"), (90, 9, 1))[0]
    target = rng.choice(TARGETS[:6]) if rng.random() < 0.8 else rng.choice(TARGETS)
    lines = [f"{method} {target} HTTP/1.1"]
    lines.append(f"Host: {rng.choice(('localhost', 'LOCALHOST:80', '127.0.0.1', 'localhost.'))}")
    if rng.random() < 0.02:
        lines.append(rng.choice(("Host: localhost", "Host: elsewhere")))
    lines.append(f"Accept: {rng.choice(ACCEPTS)}")
    if rng.random() < 0.2:
        lines.append(f"If-None-Match: {rng.choice((*etags, *ETAGS))}")
    if rng.random() < 0.1:
        lines.append(f"If-Modified-Since: {rng.choice(DATES)}")
    if rng.random() < 0.2:
        lines.append(f"Range: {rng.choice(RANGES)}")
        if rng.random() < 0.5:
            lines.append(f"If-Range: {rng.choice((*etags, *DATES))}")
    lines += rng.sample(OTHERS, rng.choices((0, 1, 2, 3), (60, 25, 10, 5))[0])
    rng.shuffle(lines_after := lines[1:])
    return "\r\n".join((lines[0], *lines_after, "", "")).encode()


LAST = b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def both_ways(world: World) -> AsyncIterator[tuple[int, int]]:
    """Ports of one edge: as it runs, and with everything left to the application."""
    settings = EdgeSettings(**world.settings)
    sites = Sites(settings.properties_dir)
    async with built(settings, Keyring.read(settings.trusted_keys), lambda: NOW) as edge:
        app = PublicApp(edge, sites)
        ports, servers = [], []
        for hits in (Hits(edge, sites), None):
            config = uvicorn.Config(
                app,
                http=protocol_with(hits),
                ws="none",
                lifespan="off",
                log_config=None,
                server_header=False,
                date_header=False,
            )
            server, sock = Server(config), listen("PORT", HOST, 0)
            servers.append((server, asyncio.create_task(server.serve(sockets=[sock]))))
            ports.append(sock.getsockname()[1])
        while not all(server.started for server, _ in servers):
            await asyncio.sleep(0.01)
        yield ports[0], ports[1]
        for server, _ in servers:
            server.told_to_stop.set()
        await asyncio.gather(*(task for _, task in servers))


def protocol_with(hits: Hits | None) -> type[EdgeProtocol]:
    class Protocol(EdgeProtocol):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, hits=hits, **kwargs)

    return Protocol


async def exchange(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


async def one_by_one(port: int, requests: list[bytes]) -> bytes:
    """The answers to requests that are each sent when the one before is answered."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answers = bytearray()
    for request in requests:
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        length = LENGTH.search(head)
        answers += head
        if length is not None and not request.startswith(b"HEAD"):
            answers += await reader.readexactly(int(length[1]))
        if b"connection: close" in head:
            break
    writer.close()
    return bytes(answers)


@pytest.mark.slow
async def test_ten_thousand_requests_get_the_same_bytes_both_ways(still_world: World) -> None:
    world, rng = still_world, random.Random(5861)
    for path in ("/a.jpg", "/b.jpg", "/A.jpg"):
        await world.publish(path)
    async with both_ways(world) as (ahead, behind):
        etags = await everything_cached(ahead)
        hits = 0
        for number in range(REQUESTS // AT_ONCE):
            requests = [*(generated(rng, etags) for _ in range(AT_ONCE - 1)), LAST]
            sent = b"".join(requests)
            wanted = VOLATILE.sub(b"", await exchange(behind, sent))
            assert VOLATILE.sub(b"", await exchange(ahead, sent)) == wanted, sent
            for _ in range(2 if number % 4 == 0 else 0):
                assert VOLATILE.sub(b"", await one_by_one(ahead, requests)) == wanted, sent
            hits += wanted.count(b"; hit; ttl=")
        assert hits > REQUESTS // 2


async def everything_cached(port: int) -> list[str]:
    """Ask for each image in each form once; their entity tags."""
    etags = set()
    for target in TARGETS:
        for accept in ACCEPTS:
            request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
            answer = await exchange(port, request.encode() + b"Connection: close\r\n\r\n")
            etags |= set(re.findall(rb"etag: ([^\r]*)", answer))
    return sorted(tag.decode() for tag in etags)
