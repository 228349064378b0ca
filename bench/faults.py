"""The system under a steady load while its parts are broken, one after the other and in pairs.

Real processes on loopback: edge workers, region (CPU, the shipped model), Valkey, origin. A fault
proxy stands before each part that an edge asks. ``failed`` counts every answer other than an image
that should have been one, ``unservable`` those for what lies in no cache while all who could make
it were gone: region and origin, or for a revoked asset the origin. ``unapproved`` are images that
nobody approved for their asset, ``wrong_bytes`` bodies that are none of its images, ``orphans``
processes left behind at the end.
"""

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from bench._approved_images import ApprovedImages
from bench._faults import Break, matrix
from bench._faulty_system import FaultySystem, started
from bench._shoppers import Seen, Shot, steady_load
from deploy.layout import SAMPLE

ASSETS = 36
_SPECIAL = 6
_HOT = 24
_SHOPPERS = 12
_PER_SECOND = 20.0
_FAULT_S, _MENDED_S = 3.0, 1.2


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
    why: Counter[str] = field(default_factory=Counter)


def run(full: bool = False) -> dict[str, object]:
    """Break everything in turn; ``full`` for every pair of faults instead of the black holes'."""
    with tempfile.TemporaryDirectory(prefix="rehydrate-faults-") as folder:
        return asyncio.run(_run(Path(folder), full, Console()))


async def _run(folder: Path, full: bool, console: Console) -> dict[str, object]:
    approved = (SAMPLE / "approved.jsonl").read_text().splitlines(keepends=True)
    chosen = approved[:: len(approved) // ASSETS][:ASSETS]
    console.print("Starting the system and publishing its approvals…")
    async with started(folder, chosen) as system:
        images = await ApprovedImages.of(system)
        await images.spoil(images.paths[:_SPECIAL])
        trial = Trial(system, images)
        console.print(f"Ready; {_PER_SECOND:g} requests/s by {_SHOPPERS} shoppers")
        await trial.run(list(matrix(full)), console)
        await trial.verify()
        pids = system.edge_pids()
    tallies = trial.tallies
    console.print(_table(tallies))
    for tally in tallies:
        if tally.why:
            console.print(f"{tally.name}: {dict(tally.why)}")
    return {
        "requests": sum(one.requests for one in tallies),
        "failed": sum(one.failed for one in tallies),
        "unservable": sum(one.unservable for one in tallies),
        "unapproved": sum(one.unapproved for one in tallies),
        "wrong_bytes": sum(one.wrong_bytes for one in tallies),
        "orphans": sum(Path(f"/proc/{pid}").exists() for pid in pids),
    }


class Trial:
    """One system, one load, one fault after the other."""

    def __init__(self, system: FaultySystem, images: ApprovedImages) -> None:
        self.tallies = [Tally("none")]
        self._system = system
        self._images = images
        self._gone: set[str] = set()
        self._gone_since: dict[str, float] = {}
        self._back_at: dict[str, float] = {}
        self._answered: set[str] = set()
        self._sightings: dict[tuple[Shot, bytes], list[Tally]] = {}
        self._over = False

    async def run(self, breaks: Sequence[tuple[Break, ...]], console: Console) -> None:
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
            await asyncio.sleep(_FAULT_S)
            for together in breaks:
                await self._break(together)
        finally:
            self._over = True
            await load

    async def verify(self) -> None:
        """Compare every different body seen with the asset's original and approved renditions."""
        for (shot, digest), tallies in self._sightings.items():
            verdict = await self._images.verdict(shot, digest)
            for tally in tallies:
                if verdict == "unapproved":
                    tally.unapproved += 1
                elif verdict == "unknown":
                    tally.wrong_bytes += 1
                if verdict not in ("original", "rehydrated"):
                    tally.why[f"{verdict} {shot.target}"] += 1

    async def _break(self, together: tuple[Break, ...]) -> None:
        self.tallies.append(Tally(" + ".join(one.name for one in together)))
        for one in together:
            await one.begin(self._system)
            self._gone.add(one.part)
            self._gone_since[one.part] = time.monotonic()
        await asyncio.sleep(_FAULT_S)
        for one in together:
            await one.end(self._system)
            self._gone.discard(one.part)
            self._back_at[one.part] = time.monotonic()
        await asyncio.sleep(_MENDED_S)

    def _was_gone(self, part: str, seen: Seen) -> bool:
        """Whether ``part`` was broken at any time while the request ran."""
        since = self._gone_since.get(part)
        if since is None or seen.ended < since:
            return False
        return part in self._gone or seen.begun < self._back_at[part]

    def _judge(self, seen: Seen) -> None:
        tally = self.tallies[-1]
        tally.requests += 1
        tally.retried += seen.retried
        tally.slowest_s = max(tally.slowest_s, seen.seconds)
        target = seen.shot.target
        if not seen.whole:
            tally.truncated += 1
        elif seen.status == 200:
            self._answered.add(target)
            self._sightings.setdefault((seen.shot, seen.digest), []).append(tally)
            tally.stale += "ttl=-" in seen.cache_status
            tally.origin += "fwd=" in seen.cache_status and "origin:" in seen.cache_status
            if seen.error:
                tally.wrong_bytes += 1
                tally.why[seen.error] += 1
        elif self._nobody_could(seen):
            tally.unservable += 1
        else:
            tally.failed += 1
            tally.why[seen.error or f"{seen.status} {seen.cache_status}"] += 1

    def _nobody_could(self, seen: Seen) -> bool:
        if not self._was_gone("origin", seen):
            return False
        if seen.shot.special:
            return True
        return self._was_gone("region", seen) and seen.shot.target not in self._answered

    def _shots(self) -> Iterator[Shot]:
        """Mostly what was asked for before, then new renditions, then assets of ill repute."""
        dice = random.Random(0)
        every = list(self._images.shots())
        dice.shuffle(every)
        hot = [shot for shot in every if not shot.special][:_HOT]
        cold = iter([shot for shot in every if not shot.special][_HOT:])
        special = [shot for shot in every if shot.special]
        while True:
            roll = dice.random()
            if roll < 0.7:
                yield dice.choice(hot)
            elif roll < 0.92:
                yield next(cold)
            else:
                yield dice.choice(special)


def _table(tallies: Sequence[Tally]) -> Table:
    columns = "requests failed unservable stale origin slowest retried truncated".split()
    table = Table("fault", *columns)
    for one in tallies:
        counts = (one.requests, one.failed, one.unservable, one.stale, one.origin)
        table.add_row(
            one.name,
            *(str(count) for count in counts),
            f"{one.slowest_s:.2f} s",
            str(one.retried),
            str(one.truncated),
            style="red" if one.failed or one.unapproved or one.wrong_bytes else "",
        )
    table.caption = f"{os.cpu_count()} cores for everything, the load included"
    return table


if __name__ == "__main__":
    typer.run(run)
