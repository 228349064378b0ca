"""The ledger held to what others count: bytes on every link by a relay that knows nothing of the
system, answers by the shoppers who got them, CPU seconds of the generator by the operating system.

A trace with the shape of an image site's traffic runs through the whole system as real processes.
First nothing is disturbed: ledger and observers have to agree. Then edge workers are killed in the
middle: what they had not told is lost, and the ledger must not be above the truth. ``bytes_error``
is the worst link's, ``count_error`` the share of answers told under another outcome or not at all,
``overhead_us`` what counting adds to a request.
"""

import asyncio
import math
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench._ledger_overhead import overhead_us
from bench._ledger_system import LedgerSystem, Links, started
from bench._shoppers import Seen, Shot, steady_load
from bench._trace import Wanted, trace
from deploy.layout import HOST, SAMPLE
from deploy.sample import approved_paths
from edge.negotiate import choose
from kvsync.errors import RehydrationError
from kvsync.ledger import MINUTE_S
from kvsync.rendition import RenditionRules
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.tables import ANSWERS, CARRIED, DEVICE_PARTS, WORK

_SEED = 1986
# Of these the system has records; of as many more it has none, so that the origin is asked.
_APPROVED = 48
_WIDTHS = (384, 512)
_SHOPPERS = 8
_PER_SECOND = 20.0
_KILLED_S = 25.0
# Before a minute ends, for answers on their way, and after it, for it to be cut.
_QUIET_S = 4.0
_GOALS = {"bytes_error": 0.01, "gpu_error": 0.03, "count_error": 0.0, "overhead_us": 20.0}
_LINKS = ("clients", "images", "models", "sync")
_WAYS = {"clients": "towards them"}


@dataclass(frozen=True)
class Told:
    """What the ledger's days add up to."""

    answers: Counter[str]
    links: Links
    avoidable: int
    busy: dict[str, float]
    loading_s: float

    @classmethod
    def of(cls, system: LedgerSystem) -> "Told":
        answers: Counter[str] = Counter()
        links = Counter(dict.fromkeys(_LINKS, 0))
        avoidable = 0
        for row in system.ledger(ANSWERS):
            answers[row["outcome"]] += row["answers"]
            links["clients"] += row["client_bytes"]
            links["images"] += row["middle_mile_bytes"]
            if row["outcome"] == "rehydrated":
                avoidable += row["avoidable_bytes"]
        for row in system.ledger(CARRIED):
            link = {"sync": "sync", "model": "models"}[row["what"]]
            links[link] += row["carried_bytes"]
        busy = dict.fromkeys(DEVICE_PARTS, 0.0)
        loading_s = 0.0
        # The observer watches the region's generator; what the origin draws is another process.
        of_region = [row for row in system.ledger(WORK) if row["region"] != THE_ORIGIN]
        for row in of_region:
            for part in DEVICE_PARTS:
                busy[part] += row[part]
            if row["purpose"] == "load":
                loading_s += row["other_s"]
        return cls(+answers, dict(links), avoidable, busy, loading_s)


@dataclass
class Observed:
    """What shoppers saw, and what relays and the operating system counted."""

    answers: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    rehydrated: list[str] = field(default_factory=list)
    links: Links = field(default_factory=dict)
    cpu_s: float = 0.0

    def seen(self, one: Seen) -> None:
        if not one.status or not one.whole or not one.headers:
            self.broken += 1
            return
        outcome = outcome_of(one)
        self.answers[outcome] += 1
        if outcome == "rehydrated" and "collapsed" not in one.cache_status:
            self.rehydrated.append(one.shot.path)


@dataclass(frozen=True)
class Line:
    """One figure as observed and as the ledger has it."""

    what: str
    observed: float
    told: float
    unit: str

    @property
    def error(self) -> float:
        """Relative to what was observed; above it is positive."""
        return (self.told - self.observed) / self.observed if self.observed else self.told


def run(
    seconds: Annotated[float, typer.Option(help="Of undisturbed traffic, at least.")] = 25.0,
) -> dict[str, object]:
    """Replay a trace through the running system, undisturbed and with workers killed."""
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_measure(Path(folder), seconds, console))
    found["overhead_us"] = round(overhead_us(console), 2)
    for name, goal in _GOALS.items():
        console.print(f"{name} {found[name]:g}, goal {goal:g}")
    return dict(found)


async def _measure(folder: Path, seconds: float, console: Console) -> dict[str, float]:
    approved = (SAMPLE / "approved.jsonl").read_text().splitlines(keepends=True)
    paths = approved_paths(SAMPLE / "approved.jsonl")[: 2 * _APPROVED]
    console.print("Starting the system and publishing its approvals…")
    async with started(folder, approved[:_APPROVED]) as system:
        shots = _shots(system, paths)
        console.print(f"Undisturbed: {_PER_SECOND:g} requests/s until the minute ends")
        observed = Observed()
        await _replay(system, shots, seconds, observed, kill=False)
        told = Told.of(system)
        originals = {path: await _straight(system.ports.origin, path) for path in paths}
        lines = [*_bytes(observed, told, originals), *_seconds(observed, told)]
        _print(console, "Undisturbed", [*lines, *_counts(observed, told)])
        _explain(console, told)
        disturbed = Observed(observed.answers.copy(), observed.broken)
        console.print("The same with workers killed")
        await _replay(system, shots, _KILLED_S, disturbed, kill=True)
        after = Told.of(system)
    _print(console, "With workers killed", [*_bytes(disturbed, after), *_counts(disturbed, after)])
    return {
        "bytes_error": round(max(*_off(lines, "bytes"), *_above(_bytes(disturbed, after))), 5),
        "gpu_error": round(max(_off(lines, "s")), 5),
        "count_error": round(miscounted(observed, told) + overcounted(disturbed, after), 5),
    }


def _off(lines: Iterable[Line], unit: str) -> list[float]:
    return [abs(line.error) for line in lines if line.unit == unit]


def _above(lines: Iterable[Line]) -> list[float]:
    """By how much the ledger is above the truth, where it is."""
    return [max(0.0, line.error) for line in lines]


def miscounted(observed: Observed, told: Told) -> float:
    """The share of answers that are told otherwise."""
    wrong = sum(abs(line.told - line.observed) for line in _counts(observed, told))
    return wrong / sum(observed.answers.values())


def overcounted(observed: Observed, told: Told) -> float:
    """The share of answers that nobody can have got; of a broken one nobody knows."""
    got = sum(observed.answers.values())
    return max(0.0, sum(told.answers.values()) - got - observed.broken) / got


async def _replay(
    system: LedgerSystem, shots: Iterator[Shot], least_s: float, observed: Observed, kill: bool
) -> None:
    """Traffic for ``least_s`` at least and until just before a minute ends; then what the system
    had counted up to there is in the ledger."""
    begun = time.time()
    ends_at = math.ceil((begun + least_s + _QUIET_S) / MINUTE_S) * MINUTE_S
    killing = asyncio.create_task(_kill(system, ends_at - begun)) if kill else None
    await steady_load(
        system.ports.clients_link,
        shots,
        shoppers=_SHOPPERS,
        per_second=_PER_SECOND,
        until=lambda: time.time() > ends_at - _QUIET_S,
        seen=observed.seen,
    )
    if killing is not None:
        await killing
    if time.time() > ends_at:  # On a busy machine the last answers came late.
        ends_at += MINUTE_S
    observed.links = await system.carried_up_to(ends_at - MINUTE_S)
    # All others cut theirs within a second of its end.
    await asyncio.sleep(max(0.0, ends_at + 1.0 - time.time()))
    observed.cpu_s = system.cpu_seconds("region")
    await asyncio.sleep(_QUIET_S)
    await system.told()


async def _kill(system: LedgerSystem, seconds: float) -> None:
    """SIGKILL for one worker after a third of the time, for all after two thirds."""
    await asyncio.sleep(seconds / 3)
    os.kill(system.workers()[0], signal.SIGKILL)
    await asyncio.sleep(seconds / 3)
    for worker in system.workers():
        os.kill(worker, signal.SIGKILL)


def _shots(system: LedgerSystem, paths: list[str]) -> Iterator[Shot]:
    rules = system.renditions
    for wanted in trace(paths, _WIDTHS, _SEED):
        yield _shot(rules, wanted)


def _shot(rules: RenditionRules, wanted: Wanted) -> Shot:
    choice = choose(rules, {"width": str(wanted.width)}, wanted.accept)
    return Shot(wanted.path, f"w={wanted.width}", choice.rendition, accept=wanted.accept)


def outcome_of(seen: Seen) -> str:
    """As the ledger calls it, from what an answer says of itself."""
    said = seen.cache_status
    if seen.status >= 400 and "fwd=" not in said:
        return "error"
    if "; hit" in said:
        return "stale" if "stale:" in said else "hit"
    return "rehydrated" if "detail=rehydrated" in said else "origin"


async def _straight(port: int, path: str) -> int:
    """The bytes of the origin's own answer, asked as an edge asks."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 20)
    asked = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: image/avif\r\n\r\n"
    writer.write(asked.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    body = await reader.readexactly(int(fields[b"content-length"]))
    writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise RehydrationError(f"{path}: the origin answers {head[:40]!r}")
    return len(head) + len(body)


def _bytes(observed: Observed, told: Told, originals: dict[str, int] | None = None) -> list[Line]:
    lines = [
        Line(
            f"{name}: {_WAYS.get(name, 'both ways')}",
            observed.links[name],
            told.links[name],
            "bytes",
        )
        for name in _LINKS
    ]
    if originals is not None:
        avoided = sum(originals[path] for path in observed.rehydrated)
        lines.append(Line("originals that were not hauled", avoided, told.avoidable, "bytes"))
    return lines


def _counts(observed: Observed, told: Told) -> list[Line]:
    outcomes = sorted(observed.answers | told.answers)
    return [
        Line(f"answers: {one}", observed.answers[one], told.answers[one], "") for one in outcomes
    ]


def _seconds(observed: Observed, told: Told) -> list[Line]:
    return [Line("generator's CPU time", observed.cpu_s, sum(told.busy.values()), "s")]


def _print(console: Console, title: str, lines: Iterable[Line]) -> None:
    table = Table("", "observed", "ledger", "difference", title=title)
    for line in lines:
        digits = 2 if line.unit == "s" else 0
        figures = (f"{one:,.{digits}f} {line.unit}" for one in (line.observed, line.told))
        table.add_row(line.what, *figures, f"{line.error:+.3%}")
    console.print(table)


def _explain(console: Console, told: Told) -> None:
    busy, loading_s = told.busy, told.loading_s
    serving_s = sum(busy.values()) - loading_s
    parts = ", ".join(f"{part[:-2]} {busy[part]:.1f} s" for part in DEVICE_PARTS)
    other = (busy["other_s"] - loading_s) / serving_s
    console.print(
        f"The generator was busy with: {parts}. Of that, {loading_s:.1f} s were starting and "
        f"bringing its model in; of the rest, {other:.1%} is other, goal 10%."
    )


if __name__ == "__main__":
    typer.run(run)
