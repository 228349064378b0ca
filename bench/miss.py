"""What an edge and its store add to a generation, and how that grows with the store.

The region is a stub that answers at once, so that what a miss takes from first byte to last is what
edge and Valkey add. Misses come one after another at a fixed rate, whatever the last ones took
(an open loop: nobody waits for a slow answer before asking for the next).
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench._pop import BODY_BYTES, Pop, cpu_seconds, running_pop
from deploy.layout import HOST
from kvsync.errors import RehydrationError

RATE = 200.0
CONNECTIONS = 2_000
CACHED, FULL_CACHED = 2_000, 10_000
STORE_SIZES = (1_000, 30_000)
FULL_STORE_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_WARM_UP = 200
_RECORD = re.compile(r"record;dur=([0-9.]+)")
_LENGTH = re.compile(r"content-length: ([0-9]+)")


def run(
    full: bool = False,
    seconds: Annotated[float, typer.Option(help="Of misses, for each size of the store.")] = 10.0,
) -> dict[str, object]:
    """Measure with 1000 and 30 000 keys, and memory on 2000 objects; with `full` up to a million
    keys, and on 10 000."""
    sizes = FULL_STORE_SIZES if full else STORE_SIZES
    with tempfile.TemporaryDirectory() as folder:
        cached = FULL_CACHED if full else CACHED
        figures = uvloop.run(_measure(Path(folder), sizes, seconds, cached))
    columns = ("keys in the store", "p50 ms", "p99 ms", "of it store ms", "CPU of the edge ms")
    table = Table(*columns, title="A miss adds")
    for size, found in figures.by_size.items():
        table.add_row(f"{size:,}", *(f"{one:.2f}" for one in found))
    console = Console()
    console.print(table)
    console.print(
        f"An idle connection takes {figures.connection_bytes / 1024:.1f} KiB of the edge's memory; "
        f"10,000 cached objects of {BODY_BYTES // 1024} KiB take "
        f"{figures.cached_bytes / 2**20:.0f} MiB of it and "
        f"{figures.disk_bytes / 2**20:.0f} MiB of disk."
    )
    p50, p99, *_ = figures.by_size[sizes[0]]
    return {"added_p50_ms": round(p50, 2), "added_p99_ms": round(p99, 2)}


class Figures:
    """Milliseconds by size of the store, as :func:`_misses` gives them, and bytes."""

    def __init__(self) -> None:
        self.by_size: dict[int, tuple[float, float, float, float]] = {}
        self.connection_bytes = self.cached_bytes = self.disk_bytes = 0.0


async def _measure(folder: Path, sizes: Iterable[int], seconds: float, cached: int) -> Figures:
    figures, published = Figures(), 0
    async with running_pop(folder, cache_bytes=4 << 30, access_log=folder / "access.jsonl") as pop:
        figures.connection_bytes = await _idle_connections(pop)
        for size in sizes:
            await pop.publish(_path(number) for number in range(published, size))
            published = size
            wanted = _WARM_UP + int(RATE * seconds)
            # Those of before are in the cache: each size is asked for assets of its own.
            fresh = [f"/m/{size}/{number}.jpg" for number in range(wanted)]
            await pop.publish(fresh)
            figures.by_size[size] = await _misses(pop, fresh)
        before, disk = _memory(pop), _disk(pop)
        await _cache(pop, [f"/c/{number}.jpg" for number in range(cached)])
        figures.cached_bytes = (_memory(pop) - before) * 10_000 / cached
        figures.disk_bytes = (_disk(pop) - disk) * 10_000 / cached
    return figures


async def _misses(pop: Pop, paths: list[str]) -> tuple[float, float, float, float]:
    """p50 and p99 of what is added, the median of the record's look-up, and the edge's CPU time
    for one, in ms."""
    took: list[float] = []
    record_ms: list[float] = []
    client = Client(pop.port)

    async def ask(path: str, counted: bool) -> None:
        begun = time.perf_counter()
        head = await client.get(path)
        ms = (time.perf_counter() - begun) * 1000
        if not head.startswith("HTTP/1.1 200") or "fwd=uri-miss" not in head:
            raise RehydrationError(f"{path} was no miss: {head}")
        if counted:
            took.append(ms)
            record_ms.append(float(_RECORD.findall(head)[0]))

    pid = pop.parts["edge"].process.pid
    async with asyncio.TaskGroup() as tasks:
        begun, used = time.perf_counter(), cpu_seconds(pid)
        for number, path in enumerate(paths):
            await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            tasks.create_task(ask(path, number >= _WARM_UP))
    cpu_ms = (cpu_seconds(pid) - used) * 1000 / len(paths)
    client.close()
    took.sort()
    return median(took), took[int(len(took) * 0.99)], median(record_ms), cpu_ms


class Client:
    """GET on connections that are kept, as little else as can be: what it takes is measured too."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> str:
        """The answer's head, once the whole body was read."""
        connection = self._idle.pop() if self._idle else await self._connect()
        reader, writer = connection
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: image/jpeg\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        await reader.readexactly(int(_LENGTH.findall(head)[0]))
        self._idle.append(connection)
        return head

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HOST, self._port, limit=4 * BODY_BYTES)


async def _idle_connections(pop: Pop) -> float:
    """Bytes of the edge's memory for each of many connections that asked once and say no more."""
    request = f"GET /none HTTP/1.1\r\nHost: {HOST}\r\nCache-Control: only-if-cached\r\n\r\n"
    open_ones = []

    async def connect(count: int) -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(HOST, pop.port)
            writer.write(request.encode())
            await reader.readuntil(b"\r\n\r\n")
            open_ones.append(writer)

    await connect(_WARM_UP)
    before = _memory(pop)
    await connect(CONNECTIONS)
    taken = (_memory(pop) - before) / CONNECTIONS
    for writer in open_ones:
        writer.close()
    return taken


async def _cache(pop: Pop, paths: list[str]) -> None:
    await pop.publish(paths)
    client = Client(pop.port)
    for start in range(0, len(paths), 32):
        await asyncio.gather(*(client.get(path) for path in paths[start : start + 32]))
    client.close()


def _path(number: int) -> str:
    return f"/store/{number}.jpg"


def _memory(pop: Pop) -> int:
    """Memory of the edge's own in bytes: resident, without what files or others share of it."""
    status = Path(f"/proc/{pop.parts['edge'].process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def _disk(pop: Pop) -> int:
    return (pop.folder / "cache" / "data.mdb").stat().st_blocks * 512


if __name__ == "__main__":
    typer.run(run)
