"""The whole system as real processes, with a relay on each link that counts without knowing it.

::

    shoppers ── relay ── edge (workers) ──┬── region (CPU) ── relay ──┐
                                          ├── Valkey                  ├── origin
                                          └───────── relay ───────────┤
                                    agent ────────── relay ───────────┘
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Table, select

from deploy import parts
from deploy.layout import HOST, PROPERTIES, REGIONS, ROOT, State, free_ports
from deploy.parts import PROPERTY
from deploy.processes import Part, Running, StartError
from kvsync.property import Property, read_property
from kvsync.rendition import RenditionRules
from origin.database import Database
from origin.ledger.tables import DAY_S
from origin.sync.tokens import admit

WORKERS = 2
# Small, so that much is asked for again after it left.
EDGE_CACHE_BYTES = 2 << 20
# Too small for any rendition: each miss of the edge is one of the region, which a relay can see.
RENDITIONS_BYTES = 1 << 12
RELAY = ROOT / "bench" / "_counting_relay.py"
_PYTHON = {**parts.PYTHON_PATH, "OMP_NUM_THREADS": "1"}
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 60.0

Links = dict[str, int]


@dataclass(frozen=True)
class Addresses:
    """One port per listener; those of the links are the near ends of relays."""

    edge: int
    edge_admin: int
    origin: int
    region: int
    valkey: int
    streams: int
    agent: int
    counts: int
    clients_link: int
    images_link: int
    models_link: int
    sync_link: int


class LedgerSystem:
    """Every part, running; :func:`started` makes one."""

    def __init__(self, state: State, approved: Sequence[str]) -> None:
        self.state, self.approved = state, approved
        self.ports = Addresses(*free_ports(12))
        self._folder = state.region(REGIONS[0])
        state.prepare()
        (state.folder / "approved.jsonl").write_text("".join(approved))
        self.site: Property = read_property(PROPERTIES / f"{PROPERTY}.toml")
        every = (
            *(self._streams(), self._valkey(), self._origin(), self._relay()),
            *(self._region(), self._edge(), self._agent()),
        )
        log = state.folder / "log"
        self.running = {part.name: Running(part, log / f"{part.name}.log") for part in every}

    @property
    def renditions(self) -> RenditionRules:
        return self.site.renditions

    async def publish(self) -> None:
        """Sign and publish the approvals by the operators' own command."""
        told = self._origin_environment()
        counts = await parts.publish(self.state.folder / "approved.jsonl", told)
        if counts["published"] != len(self.approved):
            raise StartError(f"not every approval was signed on this machine: {counts}")

    async def carried(self) -> Links:
        """Payload bytes that each relay carried, as it counts: to clients, and over the middle
        mile both ways."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(parts.http(self.ports.counts))
        counted = json.loads(answer.content)
        return {
            name: both["back"] + (0 if name == "clients" else both["out"])
            for name, both in counted.items()
        }

    def cpu_seconds(self, name: str) -> float:
        """User and system time of a part's process, as the system tells it."""
        stat = Path(f"/proc/{self.running[name].process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def workers(self) -> list[int]:
        pid = self.running["edge"].process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    async def carried_up_to(self, minute_start: int) -> Links:
        """:meth:`carried` when the agent cuts the minute that began then: what it sends after
        that, the minute itself too, is of the next one."""
        node = f"{REGIONS[0]}-agent-".encode().hex()
        minutes = Path(self.running["agent"].part.environment["SYNC_LEDGER_DIR"])
        until = time.monotonic() + _PATIENCE_S
        while not any(minutes.glob(f"{minute_start}-{node}*.minute")):
            if time.monotonic() > until:
                raise StartError("the agent did not cut its minute; see log/agent.log")
            await asyncio.sleep(0.005)
        return await self.carried()

    async def told(self) -> None:
        """Wait until the origin has all minutes that were cut."""
        until = time.monotonic() + _PATIENCE_S
        while any(self.state.folder.rglob("*.minute")):
            if time.monotonic() > until:
                raise StartError("the origin did not take what was counted; see log/agent.log")
            await asyncio.sleep(0.2)

    def ledger(self, table: Table) -> list[dict[str, Any]]:
        """The table's rows of days."""
        database = Database(self._origin_environment()["ORIGIN_DATABASE_URL"])
        try:
            with database.reading() as session:
                rows = session.execute(select(table).where(table.c.span_s == DAY_S)).mappings()
                return [dict(row) for row in rows]
        finally:
            database.close()

    def _origin_environment(self) -> dict[str, str]:
        return {
            **_PYTHON,
            **self.state.origin_environment(),
            "ORIGIN_HOST": HOST,
            "ORIGIN_PORT": str(self.ports.origin),
            "ORIGIN_LOG_URL": parts.redis_url(self.ports.streams),
        }

    def _streams(self) -> Part:
        return parts.valkey("streams", self.state.streams, self.ports.streams)

    def _valkey(self) -> Part:
        return parts.valkey("kv", self._folder / "valkey", self.ports.valkey)

    def _origin(self) -> Part:
        told = self._origin_environment()
        return parts.python("origin", "origin", self.ports.origin, told, "serve")

    def _relay(self) -> Part:
        ports = self.ports
        routes = {
            "clients": (ports.clients_link, ports.edge),
            "images": (ports.images_link, ports.origin),
            "models": (ports.models_link, ports.origin),
            "sync": (ports.sync_link, ports.origin),
        }
        told = ("--counts-port", str(ports.counts))
        relay = parts.relay("relay", str(RELAY), routes, parts.http(ports.counts), *told)
        # By its path, not as a module of ours.
        command = tuple(word for word in relay.command if word != "-m")
        return Part(relay.name, command, {}, relay.ready, relay.url)

    def _region(self) -> Part:
        ports, keys = self.ports, self.state.trusted_keys
        told = parts.region_environment(
            self._folder,
            ports.region,
            keys,
            store=parts.redis_url(ports.valkey),
            origin=parts.http(ports.models_link),
        )
        told |= {**_PYTHON, "REGION_RENDITIONS_BYTES": str(RENDITIONS_BYTES)}
        return parts.python("region", "regional_gpu", ports.region, told)

    def _edge(self) -> Part:
        ports = self.ports
        told = parts.edge_environment(
            self._folder / "edge",
            (ports.edge, ports.edge_admin),
            self.state.trusted_keys,
            store=parts.redis_url(ports.valkey),
            regions=[parts.http(ports.region)],
            origin=parts.http(ports.images_link),
        )
        told |= {
            **_PYTHON,
            "EDGE_WORKERS": str(WORKERS),
            "EDGE_CACHE_BYTES": str(EDGE_CACHE_BYTES),
            "EDGE_MEMORY_BYTES": str(EDGE_CACHE_BYTES),
        }
        return parts.python("edge", "edge", ports.edge_admin, told)

    def _agent(self) -> Part:
        ports = self.ports
        tokens = Path(self._origin_environment()["ORIGIN_REGION_TOKENS"])
        told = parts.agent_environment(
            REGIONS[0],
            ports.agent,
            self.state.trusted_keys,
            folder=self._folder,
            token=admit(tokens, REGIONS[0], [PROPERTY]),
            properties=[PROPERTY],
            store=parts.redis_url(ports.valkey),
            origin=parts.http(ports.sync_link),
            gpus=[parts.http(ports.region)],
            edge_admins=[parts.http(ports.edge_admin)],
        )
        told |= {**_PYTHON, "SYNC_LEDGER_S": "2"}
        return parts.python("agent", "kvsync", ports.agent, told)


@asynccontextmanager
async def started(folder: Path, approved: Sequence[str]) -> AsyncIterator[LedgerSystem]:
    """Every part ready and the approvals published; none is left behind."""
    system = LedgerSystem(State(folder), approved)
    running = system.running.values()
    with parts.all_running(running):
        await parts.wait_ready(running, seconds=3 * _PATIENCE_S)
        await system.publish()
        yield system
