"""Ways to break the system of :mod:`bench._faulty_system`, and the matrix of them."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

from bench._faulty_system import FaultySystem
from deploy.faults import HEALTHY, Fault

Act = Callable[[FaultySystem], Awaitable[None]]

PEERS = ("region", "kv", "origin")
_NETWORK = {
    "refuse": Fault("refuse"),
    "black hole": Fault("black-hole"),
    "slow drip": Fault(bytes_per_s=200),
}
_MORE_NETWORK = {
    "reset": Fault("reset"),
    "cut off": Fault("reset", after_bytes=2_000),
    "half-closed": Fault("half-closed"),
    "latency": Fault(latency_ms=400),
    "bandwidth": Fault(bytes_per_s=100_000),
}


@dataclass(frozen=True)
class Break:
    """One way to break one part, and to mend it."""

    part: str
    how: str
    begin: Act
    end: Act

    @property
    def name(self) -> str:
        return f"{self.part} {self.how}"


def _route(part: str, how: str, fault: Fault) -> Break:
    async def begin(system: FaultySystem) -> None:
        await system.break_route(part, fault)

    async def end(system: FaultySystem) -> None:
        await system.break_route(part, HEALTHY)

    return Break(part, how, begin, end)


def _stopped(part: str) -> Break:
    async def begin(system: FaultySystem) -> None:
        system.running[part].hang()

    async def end(system: FaultySystem) -> None:
        system.running[part].resume()

    return Break(part, "SIGSTOP", begin, end)


async def _fill(system: FaultySystem) -> None:
    await asyncio.to_thread(system.fill_disk)


async def _free(system: FaultySystem) -> None:
    system.free_disk()


async def _read_only(system: FaultySystem) -> None:
    system.stop_writes(True)


async def _writable(system: FaultySystem) -> None:
    system.stop_writes(False)


async def _kill_worker(system: FaultySystem) -> None:
    os.kill(system.worker_pids()[0], signal.SIGKILL)


async def _nothing(system: FaultySystem) -> None:
    """A supervisor has to put this right by itself."""


DISK_FULL = Break("disk", "full", _fill, _free)
DISK_READ_ONLY = Break("disk", "read-only", _read_only, _writable)
WORKER_KILLED = Break("worker", "kill -9", _kill_worker, _nothing)


def matrix(full: bool) -> Iterator[tuple[Break, ...]]:
    """What to break together, one entry after the other."""
    network = {**_NETWORK, **(_MORE_NETWORK if full else {})}
    by_part = {
        part: [*(_route(part, how, fault) for how, fault in network.items()), _stopped(part)]
        for part in PEERS
    }
    by_part["disk"] = [DISK_FULL, DISK_READ_ONLY]
    by_part["worker"] = [WORKER_KILLED]
    for breaks in by_part.values():
        yield from ((one,) for one in breaks)
    holes = {part: [one for one in by_part[part] if one.how == "black hole"] for part in PEERS}
    some = by_part if full else {**holes, "disk": [DISK_FULL], "worker": [WORKER_KILLED]}
    for first, second in combinations(some, 2):
        yield from product(some[first], some[second])
