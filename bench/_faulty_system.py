"""The whole system as real processes on loopback, with a fault proxy before each part an edge asks:

::

    shoppers ── edge (workers, cache on a small disk of its own) ──┬── proxy ── region (CPU)
                                                                   ├── proxy ── Valkey
                                                                   └── proxy ── origin

The region's agent follows the origin's log past the proxy: what breaks is what an edge asks.
"""

import contextlib
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import msgspec

from deploy import parts
from deploy.faults import Fault
from deploy.layout import HOST, PROPERTIES, REGIONS, State, free_ports
from deploy.parts import PROPERTY
from deploy.processes import Part, Running, StartError
from kvsync.property import Property, read_property
from origin.sync.tokens import admit

CACHE_BYTES = 4 << 20
DISK_BYTES = 48 << 20
WORKERS = 2
# Eight parts, two of them with torch, start on the same cores.
_START_S = 180.0
_PYTHON = {**parts.PYTHON_PATH, "OMP_NUM_THREADS": "1"}
# Short, so that a fault of a few seconds sees images go stale and deadlines pass.
_SHORTER = {
    "freshness_s": 2,
    "fallback_freshness_s": 1,
    "origin_deadline_ms": 5_000,
}
_SHORTER_HEADERS = {
    "Cache-Control": '"public, max-age=1"',
    "CDN-Cache-Control": '"max-age=2, stale-if-error=600"',
}


@dataclass(frozen=True)
class Addresses:
    """One port per listener."""

    edge: int
    edge_admin: int
    origin: int
    region: int
    valkey: int
    streams: int
    agent: int
    control: int
    faulty_region: int
    faulty_kv: int
    faulty_origin: int


@dataclass
class FaultySystem:
    """Every part, running; :func:`started` makes one."""

    state: State
    ports: Addresses
    approved: Sequence[str]
    running: dict[str, Running] = field(init=False)
    site: Property = field(init=False)

    def __post_init__(self) -> None:
        folder = self.state.folder
        self._folder = self.state.region(REGIONS[0])
        self.properties_dir = folder / "properties"
        self.disk = folder / "disk"
        self._mounted = _can_mount()
        log = folder / "log"
        self.state.prepare()
        self.properties_dir.mkdir()
        self.disk.mkdir()
        (self.properties_dir / f"{PROPERTY}.toml").write_text(_shorter_lived())
        (folder / "approved.jsonl").write_text("".join(self.approved))
        self.site = read_property(self.properties_dir / f"{PROPERTY}.toml")
        every = (
            *(self._streams(), self._origin(), self._valkey(), self._proxy()),
            *(self._region(), self._edge(), self._agent()),
        )
        self.running = {part.name: Running(part, log / f"{part.name}.log") for part in every}

    async def break_route(self, name: str, fault: Fault) -> None:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            url = f"http://{HOST}:{self.ports.control}/routes/{name}"
            (await client.put(url, content=msgspec.json.encode(fault))).raise_for_status()

    def fill_disk(self) -> None:
        """Leave no room on the edge's disk: by ballast, or by a limit to the size of its files
        where it has no disk of its own."""
        if not self._mounted:
            sizes = (path.stat().st_size for path in self.disk.rglob("*"))
            self._limit_files(max(sizes))
            return
        with self._ballast().open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass

    def free_disk(self) -> None:
        if not self._mounted:
            self._limit_files(None)
            return
        self._ballast().unlink(missing_ok=True)

    def stop_writes(self, stopped: bool) -> None:
        """Make every write of every edge process fail, as on a disk that turned read-only."""
        self._limit_files(0 if stopped else None)

    def _limit_files(self, size: int | None) -> None:
        for pid in self.edge_pids():
            # A worker may end, or be killed, between being listed and being limited.
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                soft = hard if size is None else size
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    def edge_pids(self) -> list[int]:
        """The edge's first process and its workers."""
        return [self._edge_pid, *self.worker_pids()]

    def worker_pids(self) -> list[int]:
        children = Path(f"/proc/{self._edge_pid}/task/{self._edge_pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    @property
    def _edge_pid(self) -> int:
        return self.running["edge"].process.pid

    def _ballast(self) -> Path:
        # The disk is mounted in the edge's own mount namespace.
        return Path(f"/proc/{self._edge_pid}/root{self.disk.absolute()}") / "ballast"

    async def publish(self) -> None:
        """Sign and publish the approvals by the operators' own command."""
        approved = self.state.folder / "approved.jsonl"
        counts = await parts.publish(approved, self._origin_environment())
        if counts["published"] != len(self.approved):
            raise StartError(f"not every approval was signed on this machine: {counts}")

    @property
    def store_url(self) -> str:
        return parts.redis_url(self.ports.valkey)

    @staticmethod
    def url(port: int) -> str:
        return parts.http(port)

    def _streams(self) -> Part:
        return parts.valkey("streams", self.state.streams, self.ports.streams)

    def _valkey(self) -> Part:
        return parts.valkey("kv", self._folder / "valkey", self.ports.valkey)

    def _origin_environment(self) -> dict[str, str]:
        return {
            **_PYTHON,
            **self.state.origin_environment(),
            "ORIGIN_HOST": HOST,
            "ORIGIN_PORT": str(self.ports.origin),
            "ORIGIN_PROPERTIES_DIR": str(self.properties_dir),
            "ORIGIN_LOG_URL": parts.redis_url(self.ports.streams),
        }

    def _origin(self) -> Part:
        environment = self._origin_environment()
        return parts.python("origin", "origin", self.ports.origin, environment, "serve")

    def _proxy(self) -> Part:
        ports = self.ports
        routes = {
            "region": (ports.faulty_region, ports.region),
            "kv": (ports.faulty_kv, ports.valkey),
            "origin": (ports.faulty_origin, ports.origin),
        }
        asked = self.url(ports.control) + "/routes"
        return parts.relay(
            "proxy", "deploy.faults", routes, asked, "--control-port", str(ports.control)
        )

    def _region(self) -> Part:
        ports, keys = self.ports, self.state.trusted_keys
        environment = {
            **parts.region_environment(
                self._folder, ports.region, keys, store="", origin=self.url(ports.origin)
            ),
            **_PYTHON,
            "REGION_PROPERTIES_DIR": str(self.properties_dir),
        }
        return parts.python("region", "regional_gpu", ports.region, environment)

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
            store=self.store_url,
            origin=self.url(ports.origin),
            gpus=[self.url(ports.region)],
            edge_admins=[self.url(ports.edge_admin)],
        )
        return parts.python("agent", "kvsync", ports.agent, told)

    def edge_environment(self) -> dict[str, str]:
        ports = self.ports
        return {
            **parts.edge_environment(
                self.disk / "edge",
                (ports.edge, ports.edge_admin),
                self.state.trusted_keys,
                store=parts.redis_url(ports.faulty_kv),
                regions=[self.url(ports.faulty_region)],
                origin=self.url(ports.faulty_origin),
            ),
            **_PYTHON,
            "EDGE_PROPERTIES_DIR": str(self.properties_dir),
            "EDGE_CACHE_BYTES": str(CACHE_BYTES),
            "EDGE_MEMORY_BYTES": str(CACHE_BYTES),
            "EDGE_RECORDS_BYTES": str(1 << 20),
            "EDGE_WORKERS": str(WORKERS),
        }

    def _edge(self) -> Part:
        part = parts.python("edge", "edge", self.ports.edge_admin, self.edge_environment())
        if not self._mounted:
            return part
        # A small disk that only this process and its children see; exec keeps the process id.
        mount = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && exec "$@"'
        command = ("unshare", "-rm", "sh", "-c", mount, str(self.disk), *part.command)
        return replace(part, command=command)


@asynccontextmanager
async def started(folder: Path, approved: Sequence[str]) -> AsyncIterator[FaultySystem]:
    """Every part ready and the approvals published; none is left behind."""
    system = FaultySystem(State(folder), Addresses(*free_ports(11)), approved)
    running = system.running.values()
    with parts.all_running(running):
        await parts.wait_ready(running, seconds=_START_S)
        await system.publish()
        yield system


def _can_mount() -> bool:
    """Whether this machine lets us have a small disk of our own."""
    if shutil.which("unshare") is None:
        return False
    mount = ("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    return subprocess.run(mount, capture_output=True).returncode == 0


def _shorter_lived() -> str:
    """The sample property with short times."""
    lines = []
    for line in (PROPERTIES / f"{PROPERTY}.toml").read_text().splitlines():
        name = line.partition(" =")[0]
        value = _SHORTER.get(name, _SHORTER_HEADERS.get(name))
        lines.append(line if value is None else f"{name} = {value}")
    return "\n".join(lines) + "\n"
