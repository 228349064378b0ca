"""Records from the origin to three regions: how fast, how many, in how many bytes.

An origin, its streams, and per region a Valkey server, an agent and an edge, each a process of its
own; a fault proxy between origin and regions delays and cuts. Records of 512 bytes are signed
before the clock starts. Everything shares this machine's cores.
"""

import math
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench import _sync_steps as steps
from bench._resumed import Steps
from bench._sync_parts import PLACES, Bench, running
from bench._sync_steps import PROPERTIES, Found

_STEPS: dict[str, Callable[[Bench, Found, Console], Awaitable[None]]] = {
    "single": steps.single,
    "bulk": steps.bulk,
    "paced": steps.paced,
    "held back": steps.held_back,
    "cold": steps.cold,
}
_FULL = {"a million": steps.a_million}
_GOALS = {
    "publish_p99_ms": (250, "at most"),
    "publish_wan_p99_ms": (250, "at most, the one-way delay taken off"),
    "revoke_p99_ms": (1_000, "at most"),
    "bulk_per_s": (20_000, "at least"),
    "bytes_per_record": (640, "at most"),
    "cold_start_s": (60, "at most, for a million"),
    "read_p99_ms": (5, "at most"),
}


def run(full: bool = False) -> dict[str, float]:
    """Measure with 100 000 records; with `full` the cold start is of a million.

    A full run that was ended goes on with the step that it was ended in.
    """
    console = Console(width=110)
    kept = Steps.of("sync") if full else None
    found = uvloop.run(_measure(full, kept, console))
    _print(found, console)
    if kept:
        kept.printed()
    return found.keys


async def _measure(full: bool, kept: Steps | None, console: Console) -> Found:
    found, todo = Found(), dict(_STEPS | _FULL if full else _STEPS)
    for name in list(todo):
        if kept and name in kept:
            before = msgspec.convert(kept[name], Found, strict=False, str_keys=True)
            console.print(*before.lines, sep="\n", highlight=False)
            found.add(before)
            del todo[name]
    if not todo:
        return found
    with tempfile.TemporaryDirectory(prefix="rehydrate-sync-") as folder:
        async with running(Path(folder), PROPERTIES) as bench:
            console.print(f"{len(PLACES)} regions, {os.cpu_count()} cores for everything")
            for name, step in todo.items():
                part = Found()
                await step(bench, part, console)
                found.add(part)
                if kept:
                    kept.keep(name, asdict(part))
    return found


def _exponent(seconds: dict[int, float]) -> float:
    """Of n in seconds, by least squares over the logarithms."""
    points = [(math.log(size), math.log(took)) for size, took in seconds.items()]
    middle = [sum(values) / len(points) for values in zip(*points, strict=True)]
    across: float = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    along: float = sum((x - middle[0]) ** 2 for x, _ in points)
    return across / along


def _print(found: Found, console: Console) -> None:
    for what in ("publishing", "cold start"):
        exponent = _exponent(found.seconds[what])
        console.print(f"{what} grows as n^{exponent:.2f}", highlight=False)
    keys = found.keys
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
