"""``python -m edge`` with several workers: one edge to whoever asks, whichever of them answers."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from edge.server import listen
from kvsync.signing import Keyring, SigningKey
from tests.edge.world import HOST, OriginPeer, read_site

WORKERS = 3


class Pop:
    """An edge of several processes before an origin that knows how often it was asked."""

    def __init__(self, folder: Path) -> None:
        site, properties = read_site(folder / "properties", fallback_freshness_s=600)
        Keyring((SigningKey.generate().trusted_for([site.id]),)).write(folder / "keys.json")
        self.origin = OriginPeer(site)
        self.origin.headers = {"cache-control": "max-age=60"}
        self.origin.bodies = {f"/{number}.jpg": b"original" * 100 for number in range(100)}
        self.port, self.admin_port = free_port(), free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EDGE_")},
            "EDGE_WORKERS": str(WORKERS),
            "EDGE_PORT": str(self.port),
            "EDGE_ADMIN_PORT": str(self.admin_port),
            "EDGE_PROPERTIES_DIR": str(properties),
            "EDGE_TRUSTED_KEYS": str(folder / "keys.json"),
            "EDGE_STORE_URL": f"redis://{HOST}:9",
            "EDGE_ORIGIN_URL": self.origin.url,
            "EDGE_CACHE_DIR": str(folder / "cache"),
        }

    @property
    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    async def start(self) -> None:
        await self.origin.start()
        await self.start_edge()

    async def start_edge(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge", env=self.environment, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(1_200):
            with contextlib.suppress(httpx2.HTTPError):
                await self.get("/0.jpg")
                return
            await asyncio.sleep(0.05)
        raise TimeoutError("the workers did not start")

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), 60)
        self.origin.kill()

    async def get(self, path: str) -> httpx2.Response:
        """On a connection of its own, so that any worker may get it."""
        async with httpx2.AsyncClient(base_url=f"http://{HOST}:{self.port}", timeout=60) as client:
            return await client.get(path, headers={"host": "localhost"})

    def asked(self, path: str) -> int:
        """How often the origin was."""
        return sum(request.url.path == path for request in self.origin.requests)

    async def purge(self, **wanted: object) -> int:
        async with httpx2.AsyncClient(base_url=f"http://{HOST}:{self.admin_port}") as client:
            answer = await client.post("/v1/purge", json=wanted)
            return int(answer.json()["purged"])


def free_port() -> int:
    with listen("PORT", HOST, 0) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
async def pop(tmp_path: Path) -> AsyncIterator[Pop]:
    pop = Pop(tmp_path)
    await pop.start()
    yield pop
    await pop.stop()


async def test_what_one_worker_fetched_all_have_until_it_is_purged(pop: Pop) -> None:
    for _ in range(20):
        assert (await pop.get("/1.jpg")).content == b"original" * 100
    assert pop.asked("/1.jpg") == 1
    # The image, and the list of what its URL varies on.
    assert await pop.purge(urls=["http://localhost/1.jpg?utm_source=x"]) == 2
    for _ in range(20):
        await pop.get("/1.jpg")
    assert pop.asked("/1.jpg") == 2
    # With what was asked for to see whether they had started.
    assert await pop.purge(everything=True) == 4
    await pop.get("/1.jpg")
    assert pop.asked("/1.jpg") == 3


async def test_a_killed_worker_is_replaced_and_nobody_is_refused(pop: Pop) -> None:
    first = pop.workers
    assert len(first) == WORKERS
    os.kill(first[0], signal.SIGKILL)
    for number in range(50):
        assert (await pop.get(f"/{number}.jpg")).status_code == 200
    async with asyncio.timeout(10):
        while len(set(pop.workers) - set(first)) != 1 or len(pop.workers) != WORKERS:
            await asyncio.sleep(0.05)


async def test_all_end_when_told_to_and_when_their_parent_is_killed(pop: Pop) -> None:
    workers = pop.workers
    pop.process.kill()
    async with asyncio.timeout(10):
        while any(Path(f"/proc/{pid}/exe").exists() for pid in workers):
            await asyncio.sleep(0.05)


async def test_a_stop_is_clean(pop: Pop) -> None:
    pop.process.terminate()
    assert await asyncio.wait_for(pop.process.wait(), 60) == 0
    assert pop.process.stderr is not None and await pop.process.stderr.read() == b""


async def test_what_keeps_workers_from_starting_is_told_once(tmp_path: Path) -> None:
    pop = Pop(tmp_path)
    environment = {**pop.environment, "EDGE_TRUSTED_KEYS": str(tmp_path / "none.json")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1 and errors.count(b"\n") == 1 and errors.startswith(b"edge: ")
