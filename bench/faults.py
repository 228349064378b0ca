"""The system under a steady load while its parts are broken, one after the other and in pairs.

Real processes on loopback: edge workers, region (CPU, the shipped model), Valkey, origin. A fault
proxy stands before each part that an edge asks. ``failed`` counts every answer other than an image
that should have been one, ``unservable`` those for what lies in no cache while all who could make
it were gone: region and origin, or for a revoked asset the origin. ``unapproved`` are images that
nobody approved for their asset, ``wrong_bytes`` bodies that are none of its images, ``orphans``
processes left behind at the end.
"""

import asyncio
import math
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle
from pathlib import Path

import httpx2
import msgspec
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from bench._approved_images import ApprovedImages
from bench._faults import Break, matrix
from bench._faulty_system import CACHE_BYTES, FaultySystem, started
from bench._kept_answers import KeptAnswers
from bench._purge_everything import POPS, purge_everything
from bench._resumed import KEPT_IN, Steps
from bench._shoppers import Seen, Shopper, Shot, steady_load
from deploy.layout import SAMPLE
from kvsync.errors import RehydrationError

# Assets asked for all the time, and those withdrawn before the first fault; one more is revoked
# during each.
_STEADY, _WITHDRAWN = 24, 6
_HOT = 24
_PURGED = 12
_PART_BYTES = 1_000
_SHOPPERS = 12
_PER_SECOND = 20.0
# How long a fault lasts, and how long its end is watched.
_HEALTHY_S = 8.0
_TIMES_S, _TIMES_FULL_S = (3.0, 1.2), (2.4, 0.8)
# Of a full run: how many faults one system is for, before the next one starts.
_AT_ONCE = 60


@dataclass
class Tally:
    """What was seen during one fault and right after it was mended."""

    name: str
    requests: int = 0
    failed: int = 0
    unservable: int = 0
    unapproved: int = 0
    wrong_bytes: int = 0
    stale: int = 0
    origin: int = 0
    retried: int = 0
    truncated: int = 0
    slowest_s: float = 0.0
    note: str = ""
    why: dict[str, int] = field(default_factory=dict)

    def fail(self, why: str) -> None:
        self.failed += 1
        self.explain(why)

    def explain(self, why: str) -> None:
        self.why[why] = self.why.get(why, 0) + 1


@dataclass
class Walk:
    """What one system went through."""

    tallies: list[Tally]
    hedges: str
    orphans: int


def run(full: bool = False) -> dict[str, object]:
    """Break everything in turn; ``full`` for every pair of faults instead of the black holes', a
    system for each part of them. An interrupted full run goes on with the next part."""
    console = Console(width=140)
    breaks = list(matrix(full))
    steps = Steps.of("faults")
    walks = []
    if not full:
        walks.append(_walk(breaks, _TIMES_S, console))
    else:
        for begin in range(0, len(breaks), _AT_ONCE):
            part = breaks[begin : begin + _AT_ONCE]
            name = f"{begin + 1} to {begin + len(part)} of {len(breaks)}"
            if name not in steps:
                console.print(f"Faults {name}")
                steps.keep(name, asdict(_walk(part, _TIMES_FULL_S, console)))
            walks.append(msgspec.convert(steps[name], Walk))
    for walk in walks:
        _print(walk, console)
    if full:
        steps.printed()
    counted = ("requests", "failed", "unservable", "unapproved", "wrong_bytes")
    seen = [tally for walk in walks for tally in walk.tallies]
    sums: dict[str, object] = {name: sum(getattr(one, name) for one in seen) for name in counted}
    return {**sums, "orphans": sum(walk.orphans for walk in walks)}


def _walk(
    breaks: Sequence[tuple[Break, ...]], times_s: tuple[float, float], console: Console
) -> Walk:
    with tempfile.TemporaryDirectory(prefix="rehydrate-faults-") as folder:
        walk = asyncio.run(measure(Path(folder), breaks, times_s, console))
        if any(one.failed for one in walk.tallies):
            kept = KEPT_IN / "faults-log"
            shutil.copytree(Path(folder) / "log", kept, dirs_exist_ok=True)
            console.print(f"What the parts said of it is kept in {kept}")
        return walk


async def measure(
    folder: Path,
    breaks: Sequence[tuple[Break, ...]],
    times_s: tuple[float, float],
    console: Console,
) -> Walk:
    """Break what is to be broken together, one after the other, for ``times_s``: with the fault,
    and after it was mended."""
    approved = (SAMPLE / "approved.jsonl").read_text().splitlines(keepends=True)
    assets = min(len(approved), _STEADY + _WITHDRAWN + len(breaks))
    console.print("Starting the system and publishing its approvals…")
    async with started(folder, approved[:: len(approved) // assets][:assets]) as system:
        images = await ApprovedImages.of(system)
        trial = Trial(system, images, *times_s, console)
        console.print(f"Ready; {_PER_SECOND:g} requests/s by {_SHOPPERS} shoppers")
        await trial.run(breaks)
        await trial.purge()
        await trial.verify()
        hedges = await _hedges(system)
    return Walk(trial.tallies, hedges, _left_behind(folder))


class Trial:
    """One system, one load, one fault after the other."""

    def __init__(
        self,
        system: FaultySystem,
        images: ApprovedImages,
        fault_s: float,
        mended_s: float,
        console: Console,
    ) -> None:
        self.tallies = [Tally("none")]
        self._console = console
        self._fault_s, self._mended_s = fault_s, mended_s
        self._system = system
        self._images = images
        self._steady = images.paths[:_STEADY]
        self._spoiled = images.paths[_STEADY : _STEADY + _WITHDRAWN]
        self._doomed = images.paths[_STEADY + _WITHDRAWN :]
        self._gone: dict[str, tuple[float, float]] = {}
        self._kept = KeptAnswers(CACHE_BYTES // 2)
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._sightings: dict[tuple[Shot, bytes, bool], list[Tally]] = {}
        self._over = False

    async def run(self, breaks: Sequence[tuple[Break, ...]]) -> None:
        await self._images.spoil(self._spoiled)
        # A region's edges have heard of what they serve: nobody breaks a PoP that was never asked.
        for path in (*self._steady, *self._spoiled):
            await self._ask_once(path)
        load = asyncio.create_task(
            steady_load(
                self._system.ports.edge,
                self._shots(),
                shoppers=_SHOPPERS,
                per_second=_PER_SECOND,
                until=lambda: self._over,
                seen=self._judge,
            )
        )
        try:
            await asyncio.sleep(_HEALTHY_S)
            self.tallies[0].note = await _hedges(self._system)
            for number, together in enumerate(breaks, start=1):
                await self._break(together)
                self._console.print(_progress(self.tallies[-1], number, len(breaks)))
                if not self._system.running["edge"].alive:
                    raise RehydrationError(f"the edge ended during {self.tallies[-1].name}")
        finally:
            self._over = True
            await load

    async def purge(self) -> None:
        """A purge of everything in a region of many PoPs."""
        self.tallies.append(Tally(f"purge of everything, {POPS} PoPs"))
        few = self._steady[:_PURGED]
        wanted = {shot.path: shot for shot in self._images.shots() if shot.path in few}
        purged = await purge_everything(self._system, list(wanted.values()), self._judge)
        tally = self.tallies[-1]
        tally.note = f"{purged.images} images, {purged.generated} generated"
        for _ in range(purged.images, purged.generated):
            tally.fail("generated again")

    async def verify(self) -> None:
        """Compare every different body seen with the asset's original and approved renditions."""
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            for (shot, digest, withdrawn), tallies in self._sightings.items():
                verdict = await self._images.verdict(shot, digest, withdrawn, client)
                for tally in tallies:
                    if verdict == "unapproved":
                        tally.unapproved += 1
                    elif verdict == "unknown":
                        tally.wrong_bytes += 1
                    if verdict in ("unapproved", "unknown"):
                        tally.explain(f"{verdict} {shot.target}")

    async def _break(self, together: tuple[Break, ...]) -> None:
        tally = Tally(" + ".join(one.name for one in together))
        self.tallies.append(tally)
        if self._doomed:
            await self._ask_once(self._doomed[0])
        for one in together:
            # Noted first: a request may meet the fault before whoever begins it is told so.
            self._gone[one.part] = (time.monotonic(), math.inf)
            await one.begin(self._system)
        await asyncio.sleep(self._fault_s / 2)
        if self._doomed and not any(one.name == "kv SIGSTOP" for one in together):
            if not await self._images.revoke(self._doomed[0]):
                tally.fail("the edge did not confirm a purge")
        await asyncio.sleep(self._fault_s / 2)
        for one in together:
            await one.end(self._system)
            self._gone[one.part] = (self._gone[one.part][0], time.monotonic())
        await asyncio.sleep(self._mended_s)
        if any(one.part == "disk" for one in together):
            self._kept.forget()
        del self._doomed[:1]
        in_flight_at_kills = _SHOPPERS if any(one.part == "worker" for one in together) else 0
        for _ in range(in_flight_at_kills, tally.truncated):
            tally.fail("an answer cut short that no kill explains")

    async def _ask_once(self, path: str) -> None:
        shot = next(shot for shot in self._images.shots() if shot.path == path)
        self._judge(await Shopper(self._system.ports.edge).get(shot))

    def _was_gone(self, part: str, seen: Seen) -> bool:
        """Whether ``part`` was broken at any time while the request ran."""
        since, until = self._gone.get(part, (math.inf, math.inf))
        return seen.ended >= since and seen.begun <= until

    def _judge(self, seen: Seen) -> None:
        tally = self.tallies[-1]
        tally.requests += 1
        tally.retried += seen.retried
        tally.slowest_s = max(tally.slowest_s, seen.seconds)
        if not seen.whole:
            tally.truncated += 1
        elif seen.status == 206:
            # A part of the bytes that went by this entity tag, and of no others.
            whole = self._bodies.get((seen.shot.target, seen.headers.get("etag", "")))
            if whole is not None and not whole.startswith(seen.body):
                tally.wrong_bytes += 1
                tally.explain("a part of other bytes than its entity tag's")
        elif seen.status == 200:
            self._kept.note(seen.shot.target, seen.cache_status, len(seen.body))
            self._bodies[seen.shot.target, seen.headers.get("etag", "")] = seen.body
            sighting = (seen.shot, seen.digest, self._images.was_withdrawn(seen))
            self._sightings.setdefault(sighting, []).append(tally)
            tally.stale += "ttl=-" in seen.cache_status
            tally.origin += "fwd=" in seen.cache_status and "origin:" in seen.cache_status
            if seen.error:
                tally.wrong_bytes += 1
                tally.explain(seen.error)
        elif self._nobody_could(seen):
            tally.unservable += 1
        else:
            tally.fail(seen.error or f"{seen.status} {seen.cache_status}")

    def _nobody_could(self, seen: Seen) -> bool:
        if not self._was_gone("origin", seen):
            return False
        if self._images.was_being_withdrawn(seen):
            return True
        return self._was_gone("region", seen) and seen.shot.target not in self._kept

    def _shots(self) -> Iterator[Shot]:
        """Mostly what was asked for before, or its first bytes, then new renditions, then what is
        or will be withdrawn."""
        dice = random.Random(0)
        by_path: dict[str, list[Shot]] = {}
        for shot in self._images.shots():
            by_path.setdefault(shot.path, []).append(shot)
        every = [shot for path in self._steady for shot in by_path[path]]
        dice.shuffle(every)
        hot, cold = every[:_HOT], cycle(every[_HOT:])
        spoiled = [by_path[path][0] for path in self._spoiled]
        while True:
            roll = dice.random()
            if roll < 0.6:
                yield dice.choice(hot)
            elif roll < 0.7:
                yield replace(dice.choice(hot), first_bytes=_PART_BYTES)
            elif roll < 0.82:
                yield next(cold)
            elif roll < 0.9 or not self._doomed:
                yield dice.choice(spoiled)
            else:
                yield by_path[self._doomed[0]][0]


def _left_behind(folder: Path) -> int:
    """Processes that still live and were told of this run's folder."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        found += str(folder).encode() in told
    return found


async def _hedges(system: FaultySystem) -> str:
    """How many second peers were asked for how many misses, in words."""
    url = f"{system.url(system.ports.edge_admin)}/metrics"
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        text = (await client.get(url)).text
    counts = Counter[str]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            hit = sample.labels.get("outcome") == "hit"
            counts[sample.name] += 0 if hit else int(sample.value)
    return f"{counts['edge_hedges_total']} hedges for {counts['edge_answers_total']} misses"


def _progress(tally: Tally, number: int, of: int) -> str:
    """A line for a long run: what this one came to, before bodies are compared."""
    told = f"{number}/{of} {tally.name}: {tally.requests} requests"
    if tally.failed:
        why = "; ".join(f"{count} x {why}" for why, count in tally.why.items())
        told += f", {tally.failed} failed ({why})"
    return f"{told}, slowest {tally.slowest_s:.2f} s"


def _print(walk: Walk, console: Console) -> None:
    columns = "requests failed unservable stale origin slowest retried truncated".split()
    table = Table("fault", *columns)
    for one in walk.tallies:
        counts = (one.requests, one.failed, one.unservable, one.stale, one.origin)
        table.add_row(
            f"{one.name}: {one.note}" if one.note else one.name,
            *(str(count) for count in counts),
            f"{one.slowest_s:.2f} s",
            str(one.retried),
            str(one.truncated),
            style="red" if one.failed or one.unapproved or one.wrong_bytes else "",
        )
    table.caption = (
        f"{walk.hedges} in all; {os.cpu_count()} cores for everything, the load included"
    )
    console.print(table)
    for one in walk.tallies:
        for why, count in one.why.items():
            console.print(f"{one.name}: {count} x {why}", style="red", soft_wrap=True)


if __name__ == "__main__":
    typer.run(run)
