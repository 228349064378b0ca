"""A purge of everything in a region of many PoPs, under load: each image is generated once."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from bench._faulty_system import FaultySystem
from bench._shoppers import Seen, Shot, steady_load
from deploy.layout import ROOT

POPS = 20
_PER_POP = 2.0
_BEFORE_S, _AFTER_S = 2.0, 3.0


@dataclass(frozen=True)
class Purged:
    """``generated`` counts pictures drawn after the purge, for ``images`` that were asked for."""

    images: int
    generated: int


async def purge_everything(
    system: FaultySystem, shots: Sequence[Shot], seen: Callable[[Seen], None]
) -> Purged:
    """Ask every PoP for ``shots`` all the time, and purge region and PoPs meanwhile."""
    over = False
    async with _pops(system) as ports:
        loads = [
            asyncio.create_task(
                steady_load(
                    port,
                    cycle([*shots[number % len(shots) :], *shots[: number % len(shots)]]),
                    shoppers=2,
                    per_second=_PER_POP,
                    until=lambda: over,
                    seen=seen,
                )
            )
            for number, (port, _) in enumerate(ports)
        ]
        try:
            before = await _when_all_are_made(system)
            await _purge(system.url(system.ports.region))
            await asyncio.gather(*(_purge(system.url(admin)) for _, admin in ports))
            await asyncio.sleep(_AFTER_S)
        finally:
            over = True
            await asyncio.gather(*loads)
        return Purged(len({shot.path for shot in shots}), await _generated(system) - before)


@asynccontextmanager
async def _pops(system: FaultySystem) -> AsyncIterator[list[tuple[int, int]]]:
    folder = system.state.folder / "pops"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench._pops", str(POPS), str(folder)),
        env={**os.environ, **system.edge_environment()},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        yield [tuple(pair) for pair in json.loads(line)]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _purge(url: str) -> None:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.post(f"{url}/v1/purge", json={"everything": True})
        answer.raise_for_status()


async def _when_all_are_made(system: FaultySystem) -> int:
    """Pictures drawn so far, once no more are: one under way at a purge is rightly drawn again."""
    before = -1
    while (now := await _generated(system)) != before:
        before = now
        await asyncio.sleep(_BEFORE_S)
    return now


async def _generated(system: FaultySystem) -> int:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        text = (await client.get(f"{system.url(system.ports.region)}/metrics")).text
    return int(
        sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "region_generated_images_total"
        )
    )
