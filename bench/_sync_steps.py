"""The steps of `bench sync`: each measures one thing, and needs no other to have gone before."""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import msgspec
from redis.asyncio import Redis
from rich.console import Console

from bench._sync_cpu import cpu_s, per_record
from bench._sync_load import Load, until
from bench._sync_parts import PLACES, RTT_MS, Bench, Place
from bench._sync_reader import Wanted
from deploy.faults import HEALTHY, Fault
from deploy.layout import ROOT
from kvsync.store import ValkeyStore
from origin.bucket import FolderBucket
from origin.sync.reports import Reports
from origin.sync.snapshots import Snapshots
from origin.sync.stream import LogStream

SMALL, BULK, FULL = 10_000, 100_000, 1_000_000
HELD_BACK = 60_000
PACED_PER_S, PACED_S = 5_000, 6
_SINGLE, _SINGLE_WAN, _REVOKED = 200, 80, 100
_BULKS = ("bulk-1", "bulk-2", "bulk-3")
_LIVE, _PACED, _HELD, _SMALL, _LARGE = "lively", "steady", "behind", "little", "plenty"
PROPERTIES = (_LIVE, _PACED, _HELD, _SMALL, *_BULKS, _LARGE)
# Each property's log begins with its settings.
_FIRST = 2
_PER_STEP = 20


@dataclass
class Found:
    """Figures by the name of their key, what else is worth a line, and by what was done to how
    many records the seconds that it took."""

    keys: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    seconds: dict[str, dict[int, float]] = field(default_factory=dict)

    def tell(self, console: Console, line: str) -> None:
        self.lines.append(line)
        console.print(line, highlight=False)

    def took(self, what: str, records: int, seconds: float) -> None:
        self.seconds.setdefault(what, {})[records] = seconds

    def add(self, other: "Found") -> None:
        self.keys |= other.keys
        self.lines += other.lines
        for what, by_size in other.seconds.items():
            for records, seconds in by_size.items():
                self.took(what, records, seconds)


async def single(bench: Bench, found: Found, console: Console) -> None:
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


async def bulk(bench: Bench, found: Found, console: Console) -> None:
    """All at once, three times, and what that cost."""
    little = await Load.of(bench, _SMALL)
    little.sign(SMALL)
    found.took("publishing", SMALL, await _all_at_once(little, SMALL))
    before = [await _memory(place) for place in bench.places]
    sent = await bench.log_bytes()
    for name in _BULKS:
        load = await Load.of(bench, name)
        signed_per_s = load.sign(BULK)
        spent = cpu_s(bench)
        async with _reading(bench, little) as read:
            found.took(name, BULK, await _all_at_once(load, BULK))
        spread = per_record(spent, cpu_s(bench), BULK)
        line = f"{BULK / found.seconds[name][BULK]:,.0f} records/s, signed at {signed_per_s:,.0f}/s"
        found.tell(console, f"{name}: {line}; an edge's reads meanwhile p99 {_p99(read):.1f} ms")
        found.tell(console, f"{name}: {spread}")
    took = median(found.seconds[name][BULK] for name in _BULKS)
    found.took("publishing", BULK, took)
    found.keys["bulk_per_s"] = round(BULK / took)
    after = [await _memory(place) for place in bench.places]
    held = [(now - then) / (BULK * len(_BULKS)) for then, now in zip(before, after, strict=True)]
    found.keys["bytes_per_record"] = round(median(held), 1)
    wire = (await bench.log_bytes() - sent) / (BULK * len(_BULKS) * len(PLACES))
    found.tell(
        console, f"512-byte records: {median(held):.0f} bytes in a region's memory, {wire:.0f} sent"
    )


async def _all_at_once(load: Load, count: int) -> float:
    """Seconds until every region has them."""
    begun = time.perf_counter()
    publishing = asyncio.create_task(asyncio.to_thread(load.publish, count))
    await load.everywhere(load.first + load.published + count - 1)
    await publishing
    return time.perf_counter() - begun


async def paced(bench: Bench, found: Found, console: Console) -> None:
    """Reads by an edge while 5 000 records a second come in."""
    load, little = await Load.of(bench, _PACED), await Load.of(bench, _SMALL)
    load.sign(PACED_PER_S * PACED_S)
    spent = cpu_s(bench)
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
    found.tell(console, f"at that rate: {per_record(spent, cpu_s(bench), load.published)}")


async def held_back(bench: Bench, found: Found, console: Console) -> None:
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


async def cold(bench: Bench, found: Found, console: Console) -> None:
    """A region that begins with nothing, by the size of the property."""
    for size, property in ((SMALL, _SMALL), (BULK, _BULKS[0])):
        await _cold(bench, found, console, property, size)
    took = found.seconds["cold start"]
    per_record = (took[BULK] - took[SMALL]) / (BULK - SMALL)
    found.keys["cold_start_s"] = round(took[SMALL] + per_record * (FULL - SMALL), 1)


async def a_million(bench: Bench, found: Found, console: Console) -> None:
    """The largest property: published at once, then begun with."""
    load = await Load.of(bench, _LARGE)
    load.sign(FULL)
    found.took("publishing", FULL, await _all_at_once(load, FULL))
    found.tell(console, f"{FULL:,} records published in {found.seconds['publishing'][FULL]:.0f} s")
    await _cold(bench, found, console, _LARGE, FULL)
    found.keys["cold_start_s"] = round(found.seconds["cold start"][FULL], 1)


async def _cold(bench: Bench, found: Found, console: Console, property: str, size: int) -> None:
    load = await Load.of(bench, property)
    if load.first == _FIRST:  # A run that was ended published them in another system.
        load.sign(size)
        await _all_at_once(load, size)
    found.took("cold start", size, await _cold_start(bench, property, size))
    seconds = found.seconds["cold start"][size]
    found.tell(console, f"cold start from a snapshot of {size:,}: {seconds:.1f} s")


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
