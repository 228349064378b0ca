"""Records from the origin to three regions: how fast, how many, in how many bytes.

An origin, its streams, and per region a Valkey server, an agent and an edge, each a process of its
own; a fault proxy between origin and regions delays and cuts. Records of 512 bytes are signed
before the clock starts. Everything shares this machine's cores.
"""

import asyncio
import contextlib
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import msgspec
import typer
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from bench._sync_load import Load, until
from bench._sync_parts import PLACES, RTT_MS, Bench, Place, running
from bench._sync_reader import Wanted
from deploy.faults import HEALTHY, Fault
from deploy.layout import ROOT
from kvsync.store import ValkeyStore
from origin.bucket import FolderBucket
from origin.sync.reports import Reports
from origin.sync.snapshots import Snapshots
from origin.sync.stream import LogStream

BULK, FULL = 100_000, 1_000_000
HELD_BACK = 60_000
PACED_PER_S, PACED_S = 5_000, 6
SMALL = 10_000
_SINGLE, _SINGLE_WAN, _REVOKED = 200, 80, 100
_BULKS = ("bulk-1", "bulk-2", "bulk-3")
_LIVE, _PACED, _HELD, _SMALL, _LARGE = "lively", "steady", "behind", "little", "plenty"
_PER_STEP = 20
_GOALS = {
    "publish_p99_ms": (250, "at most"),
    "publish_wan_p99_ms": (250, "at most, the one-way delay taken off"),
    "revoke_p99_ms": (1_000, "at most"),
    "bulk_per_s": (20_000, "at least"),
    "bytes_per_record": (640, "at most"),
    "cold_start_s": (60, "at most, for a million"),
    "read_p99_ms": (5, "at most"),
}


@dataclass
class Found:
    """Figures by the name of their key, and what else is worth a line."""

    keys: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def tell(self, console: Console, line: str) -> None:
        self.lines.append(line)
        console.print(line, highlight=False)


def run(full: bool = False) -> dict[str, float]:
    """Measure with 100 000 records; with `full` the cold start is of a million."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="rehydrate-sync-") as folder:
        found = uvloop.run(_measure(Path(folder), full, console))
    _print(found.keys, console)
    return found.keys


async def _measure(folder: Path, full: bool, console: Console) -> Found:
    found = Found()
    more = (_LARGE,) if full else ()
    names = (_LIVE, _PACED, _HELD, _SMALL, *_BULKS, *more)
    async with running(folder, names) as bench:
        console.print(f"{len(PLACES)} regions, {os.cpu_count()} cores for everything")
        await _single(bench, found, console)
        times = await _bulk(bench, found, console)
        await _paced(bench, found, console)
        await _held_back(bench, found, console)
        await _cold(bench, found, console, times, full)
    return found


async def _single(bench: Bench, found: Found, console: Console) -> None:
    """One record at a time, then one revocation at a time."""
    load = await Load.of(bench, _LIVE)
    load.sign(_SINGLE + _SINGLE_WAN)
    near = await _publish_singly(load, _SINGLE, dict.fromkeys(PLACES, 0.0))
    found.keys["publish_p99_ms"] = _p99(near)
    found.tell(console, f"publish to readable: p50 {median(near):.0f} ms, p99 {_p99(near):.0f} ms")
    one_way = {name: rtt / 2 for name, rtt in RTT_MS.items()}
    for name, delay in one_way.items():
        await bench.become(name, Fault(latency_ms=delay))
    far = await _publish_singly(load, _SINGLE_WAN, one_way)
    found.keys["publish_wan_p99_ms"] = _p99(far)
    delays = ", ".join(f"{rtt:g}" for rtt in RTT_MS.values())
    words = f"round trips of {delays} ms, one way taken off"
    found.tell(console, f"with {words}: p50 {median(far):.0f} ms, p99 {_p99(far):.0f} ms")
    for name in PLACES:
        await bench.become(name, HEALTHY)
    buried = await _revoke_singly(load, _REVOKED)
    found.keys["revoke_p99_ms"] = _p99(buried)
    words = f"p50 {median(buried):.0f} ms, p99 {_p99(buried):.0f} ms"
    found.tell(console, f"revoke to every region's word that store and edge dropped it: {words}")


async def _publish_singly(load: Load, count: int, one_way_ms: dict[str, float]) -> list[float]:
    """Milliseconds from before the transaction to readable, of each record in each region."""
    dice, took = random.Random(count), []

    async def readable(name: str, store: ValkeyStore, key: bytes, begun: float) -> None:
        async def there() -> bool:
            return (await store.get(load.property, key)).record is not None

        await until(there)
        took.append((time.perf_counter() - begun) * 1_000 - one_way_ms[name])

    for _ in range(count):
        await asyncio.sleep(dice.uniform(0, 0.1))
        begun, key = time.perf_counter(), load.key(load.published)
        await asyncio.to_thread(load.publish, 1)
        await asyncio.gather(
            *(readable(name, store, key, begun) for name, store in load.bench.stores.items())
        )
    return took


async def _revoke_singly(load: Load, count: int) -> list[float]:
    """Milliseconds from before the transaction to the last region's report that all is purged."""
    stream = LogStream(load.bench.running["streams"].part.url)
    reports, took = Reports(stream), []
    for number in range(count):
        begun = time.perf_counter()
        seq = await asyncio.to_thread(load.revoke, number)

        async def purged(seq: int = seq) -> bool:
            heard = await reports.of(load.property)
            return all(name in heard and heard[name].report.purged_seq >= seq for name in PLACES)

        await until(purged)
        took.append((time.perf_counter() - begun) * 1_000)
    await stream.close()
    return took


async def _bulk(bench: Bench, found: Found, console: Console) -> dict[int, float]:
    """All at once, three times; how long each size took."""
    little = await Load.of(bench, _SMALL)
    little.sign(SMALL)
    times = {SMALL: await _all_at_once(little, SMALL)}
    before = [await _memory(place) for place in bench.places]
    sent = await bench.log_bytes()
    rates = []
    for name in _BULKS:
        load = await Load.of(bench, name)
        signed_per_s = load.sign(BULK)
        async with _reading(bench, little) as read:
            times[BULK] = await _all_at_once(load, BULK)
        rates.append(BULK / times[BULK])
        line = f"{rates[-1]:,.0f} records/s, signed at {signed_per_s:,.0f}/s"
        found.tell(console, f"{name}: {line}; an edge's reads meanwhile p99 {_p99(read):.1f} ms")
    found.keys["bulk_per_s"] = round(median(rates))
    after = [await _memory(place) for place in bench.places]
    held = [(now - then) / (BULK * len(_BULKS)) for then, now in zip(before, after, strict=True)]
    found.keys["bytes_per_record"] = round(median(held), 1)
    wire = (await bench.log_bytes() - sent) / (BULK * len(_BULKS) * len(PLACES))
    found.tell(
        console, f"512-byte records: {median(held):.0f} bytes in a region's memory, {wire:.0f} sent"
    )
    return times


async def _all_at_once(load: Load, count: int) -> float:
    """Seconds until every region has them."""
    begun = time.perf_counter()
    publishing = asyncio.create_task(asyncio.to_thread(load.publish, count))
    await load.everywhere(load.first + load.published + count - 1)
    await publishing
    return time.perf_counter() - begun


async def _paced(bench: Bench, found: Found, console: Console) -> None:
    """Reads by an edge while 5 000 records a second come in."""
    load, little = await Load.of(bench, _PACED), await Load.of(bench, _SMALL)
    load.sign(PACED_PER_S * PACED_S)
    async with _reading(bench, little, count=SMALL) as read:
        begun = time.monotonic()
        for step in range(PACED_S * _PER_STEP):
            await asyncio.sleep(begun + step / _PER_STEP - time.monotonic())
            seq = await asyncio.to_thread(load.publish, PACED_PER_S // _PER_STEP)
        took = time.monotonic() - begun
        await load.everywhere(seq)
    found.keys["read_p99_ms"] = round(_p99(read), 2)
    rate = load.published / took
    words = f"p50 {median(read):.2f} ms, p99 {_p99(read):.2f} ms"
    found.tell(console, f"an edge's reads at {rate:,.0f} records/s: {words}")


async def _held_back(bench: Bench, found: Found, console: Console) -> None:
    """A region that was cut off while much was published."""
    load = await Load.of(bench, _HELD)
    load.sign(HELD_BACK)
    cut = PLACES[-1]
    await bench.become(cut, Fault("refuse"))
    seq = await asyncio.to_thread(load.publish, HELD_BACK)
    others = [store for name, store in bench.stores.items() if name != cut]
    await asyncio.gather(*(load.there(store, seq) for store in others))
    await bench.become(cut, HEALTHY)
    begun = time.perf_counter()
    await load.there(bench.stores[cut], seq)
    took = time.perf_counter() - begun
    found.tell(console, f"{HELD_BACK:,} changes held back by a cut: caught up in {took:.1f} s")


async def _cold(
    bench: Bench, found: Found, console: Console, times: dict[int, float], full: bool
) -> None:
    """A region that begins with nothing, by the size of the property."""
    sizes = {SMALL: _SMALL, BULK: _BULKS[0]}
    if full:
        load = await Load.of(bench, _LARGE)
        load.sign(FULL)
        times[FULL] = await _all_at_once(load, FULL)
        sizes[FULL] = _LARGE
    took = {}
    for size, property in sizes.items():
        took[size] = await _cold_start(bench, property, size)
    made = ", ".join(f"{size:,} in {seconds:.1f} s" for size, seconds in took.items())
    found.tell(console, f"cold start from a snapshot: {made}")
    for what, by_size in (("publishing", times), ("cold start", took)):
        found.tell(console, f"{what} grows as n^{_exponent(by_size):.2f}")
    per_record = (took[BULK] - took[SMALL]) / (BULK - SMALL)
    scaled = took[SMALL] + per_record * (FULL - SMALL)
    found.keys["cold_start_s"] = round(took.get(FULL, scaled), 1)


async def _cold_start(bench: Bench, property: str, size: int) -> float:
    """Seconds from starting an agent beside an empty store to all records there."""
    place = bench.state.origin_environment()["ORIGIN_SNAPSHOTS"]
    bucket = FolderBucket(Path(place.removeprefix("folder:")))
    await asyncio.to_thread(Snapshots(bench.database, bucket, bench.key).make, property)
    begun = time.perf_counter()
    async with bench.empty_region(f"cold-{property}", property) as store:

        async def whole() -> bool:
            state = await store.state(property)
            return len(state.cursor) > 8 and state.records == size

        await until(whole)
        return time.perf_counter() - begun


@asynccontextmanager
async def _reading(bench: Bench, load: Load, count: int = 0) -> AsyncIterator[list[float]]:
    """Look records up as an edge of the first region does; the milliseconds, once it is over."""
    place = bench.places[0]
    numbers = range(0, count or load.published, 10)
    wanted = Wanted(
        place.store_url,
        str(bench.folder / "properties" / f"{load.property}.toml"),
        str(bench.state.trusted_keys),
        str(bench.folder / "held"),
        tuple(load.key(number).hex() for number in numbers),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench._sync_reader"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 24,
    )
    assert process.stdin is not None and process.stdout is not None
    took: list[float] = []
    try:
        process.stdin.write(msgspec.json.encode(wanted) + b"\n")
        await process.stdout.readline()
        yield took
        process.stdin.write(b"over\n")
        took += msgspec.json.decode(await process.stdout.readline(), type=list[float])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _memory(place: Place) -> int:
    async with Redis.from_url(place.store_url) as client:
        return int((await client.info("memory"))["used_memory"])


def _p99(values: Sequence[float]) -> float:
    return round(quantiles(values, n=100, method="inclusive")[-1], 1)


def _exponent(seconds: dict[int, float]) -> float:
    """Of n in seconds, by least squares over the logarithms."""
    points = [(math.log(size), math.log(took)) for size, took in seconds.items()]
    middle = [sum(values) / len(points) for values in zip(*points, strict=True)]
    across: float = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    along: float = sum((x - middle[0]) ** 2 for x, _ in points)
    return across / along


def _print(keys: dict[str, float], console: Console) -> None:
    table = Table("", "goal", "measured", "held")
    for name, (goal, words) in _GOALS.items():
        held = keys[name] >= goal if words.startswith("at least") else keys[name] <= goal
        style = "" if held else "red"
        table.add_row(
            name, f"{words} {goal:,}", f"{keys[name]:,}", "yes" if held else "no", style=style
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(run)
