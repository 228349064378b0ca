"""The edge beside the public HTTP cache tests (npm package http-cache-tests 0.4.5).

Their server is the origin, patched to listen on loopback only; our edge passes everything through
to it; their client asks the edge. ``required`` and ``optimal`` count the tests passed of those
kinds, of 157 and 86. What fails is run once more by itself: a hundred tests at a time are too many
for the one-second margins of some. What the `check` tests show is explained in docs/edge.md.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx2
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from kvsync.errors import InputError
from kvsync.signing import Keyring

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bench/http-cache-tests"
RATCHET = PACKAGE / "ratchet.json"
CHECKS = PACKAGE / "checks.json"
INSTALLED = ROOT / "var/http-cache-tests"
HOST = "127.0.0.1"
# The best results that the package ships, by tests passed of each kind.
BEST_PEER = {"required": 134, "optimal": 60}
_LISTEN = "server.listen(port)"
_START_SECONDS = 30.0


class Result(msgspec.Struct, frozen=True):
    """What came of one test; ``why`` is empty when it passed."""

    kind: str
    suite: str
    passed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Ratchet:
    """The tests that pass: a list that may only grow."""

    required: tuple[str, ...]
    optimal: tuple[str, ...]

    @classmethod
    def read(cls) -> "Ratchet":
        return msgspec.json.decode(RATCHET.read_bytes(), type=cls)

    @classmethod
    def of(cls, results: dict[str, Result]) -> "Ratchet":
        def passed(kind: str) -> tuple[str, ...]:
            return tuple(
                sorted(name for name, of in results.items() if of.passed and of.kind == kind)
            )

        return cls(passed("required"), passed("optimal"))

    def lost(self, results: dict[str, Result]) -> list[str]:
        """Tests that passed once and do not now, with the reason."""
        return [
            f"{name}: {results[name].why if name in results else 'not run'}"
            for name in (*self.required, *self.optimal)
            if name not in results or not results[name].passed
        ]


def run(
    write: Annotated[bool, typer.Option(help="Add what passes now to the committed list.")] = False,
) -> dict[str, object]:
    """Run all 329 tests, about a minute; says which of the committed list are lost, if any."""
    results = conformance()
    counted = Counter(of.kind for of in results.values() if of.passed)
    offered = Counter(of.kind for of in results.values())
    console = Console()
    table = Table(title="http-cache-tests 0.4.5")
    for heading in ("kind", "passed", "of", "best shipped result"):
        table.add_column(heading)
    for kind in ("required", "optimal", "check"):
        peer = BEST_PEER.get(kind)
        table.add_row(kind, str(counted[kind]), str(offered[kind]), str(peer) if peer else "-")
    console.print(table)
    for name, of in results.items():
        if not of.passed and of.kind != "check":
            console.print(f"{of.kind} {name}: {of.why}", highlight=False, markup=False)
    known = Ratchet.read()
    for line in known.lost(results):
        console.print(f"LOST {line}", highlight=False, markup=False)
    recorded = msgspec.json.decode(CHECKS.read_bytes(), type=dict[str, bool])
    for name, passed in checks(results).items():
        if passed != recorded.get(name):
            console.print(
                f"check {name}: now {'yes' if passed else 'no'}: docs/edge.md explains it"
            )
    if write and not known.lost(results):
        _write(RATCHET, Ratchet.of(results))
        _write(CHECKS, checks(results))
    return {"required": counted["required"], "optimal": counted["optimal"], "run": len(results)}


def conformance() -> dict[str, Result]:
    """Results by test id; :class:`InputError` where node or npm is missing or a part fails."""
    results = run_tests()
    again = run_tests(name for name, of in results.items() if not of.passed)
    return {**results, **{name: of for name, of in again.items() if of.passed}}


def run_tests(only: Iterable[str] = (), *, show: bool = False) -> dict[str, Result]:
    """Results of all tests or of those named, with an edge and a server of their own."""
    package = installed()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with _origin(package, folder) as origin_url, _edge(origin_url, folder) as edge_url:
            command = ["node", "--no-warnings", str(PACKAGE / "run.mjs"), str(package), edge_url]
            told = subprocess.run([*command, *only], capture_output=True, text=True, check=False)
    if told.returncode:
        raise InputError(f"the tests ended with {told.returncode}: {told.stderr[-500:]}")
    *before, last = told.stdout.splitlines()
    if show:
        print("\n".join(before))
    return msgspec.json.decode(last, type=dict[str, Result])


def checks(results: dict[str, Result]) -> dict[str, bool]:
    """What the tests that only ask say of the edge: recorded, explained, never worked towards."""
    return {name: of.passed for name, of in results.items() if of.kind == "check"}


def _write(path: Path, told: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")


def installed() -> Path:
    """The package's folder, installed by npm as the lock file says; its server patched."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise InputError("bench conformance needs node and npm (apt-get install nodejs npm)")
    package = INSTALLED / "node_modules/http-cache-tests"
    lock = (PACKAGE / "package-lock.json").read_bytes()
    done = INSTALLED / "installed-lock.json"
    if not done.exists() or done.read_bytes() != lock:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        shutil.copytree(PACKAGE, INSTALLED)
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        told = subprocess.run(npm, cwd=INSTALLED, capture_output=True, text=True, check=False)
        if told.returncode:
            raise InputError(f"npm ci in {INSTALLED} failed: {told.stderr[-500:]}")
        _listen_on_loopback(package / "server/server.mjs")
        done.write_bytes(lock)
    return package


def _listen_on_loopback(server: Path) -> None:
    text = server.read_text()
    if text.count(_LISTEN) != 1:
        raise InputError(f"{server}: {_LISTEN} is not there to be patched; another version?")
    server.write_text(text.replace(_LISTEN, f"server.listen(port, '{HOST}')"))


@contextlib.contextmanager
def _origin(package: Path, folder: Path) -> Iterator[str]:
    """The package's own server."""
    port = _free_port()
    environment = {
        "npm_config_protocol": "http",
        "npm_config_port": str(port),
        "npm_config_pidfile": str(folder / "origin.pid"),
    }
    command = ["node", "--no-warnings", str(package / "server/server.mjs")]
    with _running("the tests' server", command, environment, folder, f"http://{HOST}:{port}/"):
        yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def _edge(origin_url: str, folder: Path) -> Iterator[str]:
    """An edge process of ours that serves only the conformance property."""
    properties = folder / "properties"
    properties.mkdir()
    shutil.copy(PACKAGE / "property.toml", properties)
    Keyring(()).write(folder / "keys.json")
    port, admin_port = _free_port(), _free_port()
    environment = {
        "PYTHONPATH": str(ROOT),
        "EDGE_PORT": str(port),
        "EDGE_ADMIN_PORT": str(admin_port),
        "EDGE_PROPERTIES_DIR": str(properties),
        "EDGE_TRUSTED_KEYS": str(folder / "keys.json"),
        "EDGE_ORIGIN_URL": origin_url,
        "EDGE_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "edge"]
    with _running("the edge", command, environment, folder, f"http://{HOST}:{admin_port}/readyz"):
        yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def _running(
    name: str, command: list[str], environment: dict[str, str], folder: Path, url: str
) -> Iterator[None]:
    """A process until the block ends, started when ``url`` answers."""
    log = folder / f"{command[0].rpartition('/')[2]}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + _START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                raise InputError(f"{name} does not answer: {log.read_text()[-500:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2.0, trust_env=False).status_code < 500
    except httpx2.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    # One test with all that is sent and received: python -m bench.conformance TEST_ID
    print(json.dumps(msgspec.to_builtins(run_tests(sys.argv[1:2], show=True)), indent=1))
