"""One family of one's own on the real parts: origin, streams, record store, region, edge, agent."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from deploy import parts
from deploy.layout import HOST, State, free_ports
from deploy.processes import Running
from origin.sync.tokens import admit

# A busy machine's region may miss its deadline: the origin stands in for it for a while.
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class FamilyWorld:
    """The running parts; what operators run is told ``environment``."""

    environment: dict[str, str]
    edge: str

    async def operator(self, *words: str) -> list[str]:
        """The lines of an operators' command; :class:`deploy.processes.StartError` if it fails."""
        return await parts.operator(self.environment, *words)

    async def publish(self) -> dict[str, int]:
        """Bring what was approved to the region; the command's counts."""
        counts: dict[str, int] = json.loads((await self.operator("publish", "--json"))[-1])
        return counts

    async def ask(self, path: str) -> httpx2.Response:
        """What a shopper of the property gets who takes JPEG."""
        async with httpx2.AsyncClient(timeout=_PATIENCE_S, trust_env=False) as client:
            return await client.get(self.edge + path, headers={"accept": "image/jpeg"})

    async def rehydrated(self, path: str) -> httpx2.Response:
        """The same, from the region."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            answer = await self.ask(path)
            if "detail=rehydrated" in answer.headers["cache-status"]:
                return answer
            assert time.monotonic() < deadline, answer.headers
            await asyncio.sleep(0.5)


@asynccontextmanager
async def family_world(folder: Path, gallery: Path, pictures: Path) -> AsyncIterator[FamilyWorld]:
    """Start every part over a gallery's manifest and the folder of its pictures; all state lies in
    ``folder``."""
    origin, streams, store, region, edge, admin, agent = free_ports(7)
    state = State(folder)
    state.prepare()
    keys, records = state.trusted_keys, parts.redis_url(store)
    environment = {
        **parts.PYTHON_PATH,
        **state.origin_environment(),
        "ORIGIN_HOST": HOST,
        "ORIGIN_PORT": str(origin),
        "ORIGIN_DAM": f"rumba=folder:{pictures}",
        "ORIGIN_GALLERIES": f"rumba={gallery}",
        "ORIGIN_LOG_URL": parts.redis_url(streams),
        "ORIGIN_REGIONS": parts.http(region),
        "ORIGIN_CONFIRM_S": f"{_PATIENCE_S:g}",
    }
    at_region = parts.region_environment(
        folder / "region", region, keys, store=records, origin=parts.http(origin)
    )
    at_edge = parts.edge_environment(
        folder / "edge",
        (edge, admin),
        keys,
        store=records,
        regions=[parts.http(region)],
        origin=parts.http(origin),
    )
    at_agent = parts.agent_environment(
        "here",
        agent,
        keys,
        folder=folder,
        token=admit(Path(environment["ORIGIN_REGION_TOKENS"]), "here", [parts.PROPERTY]),
        properties=[parts.PROPERTY],
        store=records,
        origin=parts.http(origin),
        gpus=[parts.http(region)],
        edge_admins=[parts.http(admin)],
    )
    running = [
        Running(part, folder / "log" / f"{part.name}.log")
        for part in (
            parts.valkey("streams", state.streams, streams),
            parts.valkey("valkey", folder, store),
            parts.python("origin", "origin", origin, environment, "serve"),
            parts.python("region", "regional_gpu", region, at_region),
            parts.python("edge", "edge", admin, at_edge),
            parts.python("agent", "kvsync", agent, at_agent),
        )
    ]
    with parts.all_running(running):
        await parts.wait_ready(running)
        yield FamilyWorld(environment, parts.http(edge))
