"""What an edge and its store add to a generation, and how that grows with the store.

The region is a stub that answers at once. What a GET of the same bytes takes straight from the
stub is measured beside it and taken off, so that what is left of a miss, first byte to last, is
what edge and Valkey add. Misses come one after another at a fixed rate, whatever the last ones took
(an open loop: nobody waits for a slow answer before asking for the next).
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench._pop import BODY_BYTES, Memory, Pop, cpu_seconds, running_pop
from bench._resumed import Steps
from deploy.layout import HOST
from kvsync.errors import RehydrationError

RATE = 200.0
CONNECTIONS = 2_000
CACHED = 10_000
STORE_SIZES = (1_000, 30_000)
FULL_STORE_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_WARM_UP = 200
_AT_ONCE = 16
_RECORD = re.compile(r"record;dur=([0-9.]+)")
_LENGTH = re.compile(r"content-length: ([0-9]+)")
_COLUMNS = ("keys", "added p50", "added p99", "straight", "of it store", "CPU of the edge")


@dataclass(frozen=True)
class Misses:
    """Milliseconds. ``straight`` is the median of the same GET without an edge; ``record`` of the
    look-up in the store; ``cpu`` what the edge's processes used for one."""

    added_p50: float
    added_p99: float
    straight: float
    record: float
    cpu: float


def run(
    full: bool = False,
    seconds: Annotated[float, typer.Option(help="Of misses, for each size of the store.")] = 10.0,
) -> dict[str, object]:
    """Measure with 1000 and 30 000 keys in the store; with `full` up to a million, and an
    interrupted run goes on with the next size."""
    sizes = FULL_STORE_SIZES if full else STORE_SIZES
    steps = Steps.of("miss") if full else None
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(_measure(Path(folder), sizes, seconds, Console(width=120), steps))
    if steps:
        steps.printed()
    first, last = found[sizes[0]], found[sizes[-1]]
    growth = last.added_p50 / first.added_p50
    print(f"From {sizes[0]:,} to {sizes[-1]:,} keys the median grows {growth:.2f} times.")
    return {"added_p50_ms": round(first.added_p50, 2), "added_p99_ms": round(first.added_p99, 2)}


async def _measure(
    folder: Path, sizes: Iterable[int], seconds: float, console: Console, steps: Steps | None
) -> dict[int, Misses]:
    """Tells what it has found as soon as it has; sizes that ``steps`` knows are not measured."""
    by_size: dict[int, Misses] = {}
    stocked = 0
    async with running_pop(folder, cache_bytes=4 << 30, access_log=folder / "access.jsonl") as pop:
        console.print("A miss adds, in ms:")
        console.print("".join(f"{column:>17}" for column in _COLUMNS))
        for size in sizes:
            if steps and str(size) in steps:
                found = Misses(**steps[str(size)])
            else:
                await pop.stock(stocked, size)
                stocked = size
                wanted = _WARM_UP + int(RATE * seconds)
                # Those of before are in the cache: each size is asked for assets of its own.
                fresh = [f"/m/{size}/{number}.jpg" for number in range(wanted)]
                await pop.publish(fresh)
                found = await _misses(pop, fresh)
                if steps:
                    steps.keep(str(size), asdict(found))
            by_size[size] = found
            figures = (found.added_p50, found.added_p99, found.straight, found.record, found.cpu)
            console.print(f"{size:>17,}" + "".join(f"{figure:>17.2f}" for figure in figures))
        console.print(await _memory_of_connections(pop), await _memory_of_objects(pop), sep="\n")
    return by_size


async def _misses(pop: Pop, paths: list[str]) -> Misses:
    took: list[float] = []
    straight: list[float] = []
    record_ms: list[float] = []
    client, stub = Client(pop.port), Client(pop.stub_port)

    async def ask(path: str, counted: bool) -> None:
        begun = time.perf_counter()
        head = await client.get(path)
        ms = (time.perf_counter() - begun) * 1000
        if not head.startswith("HTTP/1.1 200") or "fwd=uri-miss" not in head:
            raise RehydrationError(f"{path} was no miss: {head}")
        if counted:
            took.append(ms)
            record_ms.append(float(_RECORD.findall(head)[0]))

    async def ask_stub(path: str, counted: bool) -> None:
        begun = time.perf_counter()
        await stub.get(path)
        if counted:
            straight.append((time.perf_counter() - begun) * 1000)

    pid = pop.parts["edge"].process.pid
    async with asyncio.TaskGroup() as tasks:
        begun, used = time.perf_counter(), cpu_seconds(pid)
        for number, path in enumerate(paths):
            await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            tasks.create_task(ask(path, number >= _WARM_UP))
            if number % _AT_ONCE == 0:
                # Half a turn later, so that neither waits for the other.
                await asyncio.sleep(0.5 / RATE)
                tasks.create_task(ask_stub(path, number >= _WARM_UP))
    cpu_ms = (cpu_seconds(pid) - used) * 1000 / len(paths)
    client.close()
    stub.close()
    took.sort()
    own = median(straight)
    p99 = took[int(len(took) * 0.99)]
    return Misses(median(took) - own, p99 - own, own, median(record_ms), cpu_ms)


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


async def _memory_of_connections(pop: Pop) -> str:
    """What each of many connections takes that asked once and say no more."""
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
    kib = (_memory(pop) - before).own / CONNECTIONS / 1024
    for writer in open_ones:
        writer.close()
    return f"An idle connection takes {kib:.1f} KiB of the edge's memory."


async def _memory_of_objects(pop: Pop) -> str:
    """What the cache takes for objects that were each made, and asked for once more."""
    before, disk = _memory(pop), _disk(pop)
    paths = [f"/c/{number}.jpg" for number in range(CACHED)]
    await pop.publish(paths)
    for _ in range(2):
        client = Client(pop.port)
        for start in range(0, CACHED, _AT_ONCE):
            await asyncio.gather(*(client.get(path) for path in paths[start : start + _AT_ONCE]))
        client.close()
    taken, on_disk = _memory(pop) - before, _disk(pop) - disk
    own, mapped, disk_mib = (n / 2**20 for n in (taken.own, taken.mapped, on_disk))
    return (
        f"{CACHED:,} cached objects of {BODY_BYTES // 1024} KiB take {own:.0f} MiB of its memory, "
        f"{mapped:.0f} MiB of mapped file and {disk_mib:.0f} MiB of disk."
    )


def _memory(pop: Pop) -> Memory:
    return Memory.of(pop.parts["edge"].process.pid)


def _disk(pop: Pop) -> int:
    return (pop.folder / "cache" / "data.mdb").stat().st_blocks * 512


if __name__ == "__main__":
    typer.run(run)
