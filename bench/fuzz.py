"""Hostile requests against a real edge process over real sockets: no 500, no hang, no torn answer.

Each case has a connection of its own. The server answers or closes within its own bound for heads;
a case that sees neither is a hang.
"""

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Console

from bench._hostile import hostile_requests
from deploy.layout import HOST, PROPERTIES, ROOT, free_ports
from deploy.processes import Part, Running
from kvsync.signing import Keyring, SigningKey

_AT_ONCE = 48
# Incomplete heads are answered 408 after ten seconds.
_PATIENCE_S = 14.0
_QUICK_S = 1.0
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_BODY = b"\xff\xd8" + bytes(range(256)) * 4
_ANSWER = (
    b'HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncache-control: max-age=60\r\netag: "v1"\r\n'
    b"last-modified: Thu, 09 Oct 2025 08:53:20 GMT\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
)
_THROUGH = 'id = "through"\nhosts = ["through.example"]\npass_through = true\n'


@dataclass
class Found:
    """How answers began, and the cases to look at."""

    statuses: Counter[str] = field(default_factory=Counter)
    failed: list[bytes] = field(default_factory=list)
    hung: list[bytes] = field(default_factory=list)
    torn: list[bytes] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)


def run(
    full: bool = False,
    cases: Annotated[int, typer.Option(help="How many; 100 000 with --full.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Repeats a run.")] = 0,
) -> dict[str, object]:
    """Send ``cases`` hostile requests and look at every answer."""
    console = Console()
    begun = time.monotonic()
    count = 100_000 if full else cases
    found = asyncio.run(fuzz(count, seed))
    console.print(dict(sorted(found.statuses.items())))
    for name in ("failed", "hung", "torn"):
        for case in getattr(found, name)[:5]:
            console.print(f"{name}: {case[:400]!r}", style="red", soft_wrap=True)
    for cause, times in found.causes.most_common(5):
        console.print(f"the edge's log: {times} x {cause[:200]}", style="red", soft_wrap=True)
    console.print(f"{count} cases in {time.monotonic() - begun:.0f} s")
    return {
        "cases": count,
        "errors_500": len(found.failed),
        "hangs": len(found.hung),
        "torn": len(found.torn),
    }


async def fuzz(cases: int, seed: int) -> Found:
    """What came of the first ``cases`` of this seed; the edge is one worker with a plain origin."""
    found = Found()
    waiting = islice(hostile_requests(seed), cases)
    with tempfile.TemporaryDirectory(prefix="rehydrate-fuzz-") as folder:
        async with running_edge(Path(folder)) as port:
            await asyncio.gather(*(attack(port, waiting, found) for _ in range(_AT_ONCE)))
            async with httpx2.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://{HOST}:{port}/a.jpg")
                if answer.content != _BODY:
                    found.torn.append(b"the edge no longer answers as it should")
        log = (Path(folder) / "log").read_text(errors="replace")
        found.causes.update(re.findall(r"^[\w.]+(?:Error|Exception).*", log, re.MULTILINE))
    return found


async def attack(port: int, waiting: Iterator[bytes], found: Found) -> None:
    """Send what waits, one case after the other, and note what came of it."""
    for case in waiting:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                answer = await _exchange(port, case)
        except TimeoutError:
            found.hung.append(case)
            continue
        status = _STATUS.match(answer)
        found.statuses[status[1].decode() if status else "closed"] += 1
        if b"HTTP/1.1 500 " in answer:
            found.failed.append(case)
        if answer and (status is None or _torn(answer)):
            found.torn.append(case)


async def _exchange(port: int, case: bytes) -> bytes:
    """Everything that comes back until the server closes, or has been silent after an answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        answer = b""
        with contextlib.suppress(ConnectionError):
            writer.write(case)
            patience = _PATIENCE_S
            while True:
                try:
                    async with asyncio.timeout(patience):
                        piece = await reader.read(1 << 16)
                except TimeoutError:
                    if not answer:
                        raise
                    break
                if not piece:
                    break
                answer += piece
                if _complete(answer):
                    break
                patience = _QUICK_S
        return answer
    finally:
        writer.transport.abort()


def _complete(answer: bytes) -> bool:
    """Whether a first answer is all there; a HEAD's is known by the silence after it."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: ([0-9]+)", head)
    return bool(end) and (
        head[9:12] == b"304" or (length is not None and len(body) >= int(length[1]))
    )


def _torn(answer: bytes) -> bool:
    """Whether a part of the image is not the part that its Content-Range names."""
    head, _, body = answer.partition(b"\r\n\r\n")
    part = re.search(rb"\r\ncontent-range: bytes ([0-9]+)-([0-9]+)/([0-9]+)", head)
    if head[9:12] != b"206" or part is None or not body:
        return head[9:12] == b"206" and part is None
    first, last, whole = map(int, part.groups())
    return whole != len(_BODY) or not body.startswith(_BODY[first : last + 1])


@contextlib.asynccontextmanager
async def running_edge(folder: Path) -> AsyncIterator[int]:
    """A real edge process with the sample property and one that passes everything through."""
    (folder / "properties").mkdir()
    (folder / "properties" / "through.toml").write_text(_THROUGH)
    sample = (PROPERTIES / "rumba.toml").read_text()
    (folder / "properties" / "rumba.toml").write_text(sample)
    Keyring((SigningKey.generate().trusted_for(["rumba"]),)).write(folder / "keys.json")
    port, admin, nobody = free_ports(3)
    server = await asyncio.start_server(_answer, HOST, 0, limit=1 << 20)
    environment = {
        "PYTHONPATH": str(ROOT),
        "EDGE_PORT": str(port),
        "EDGE_ADMIN_PORT": str(admin),
        "EDGE_PROPERTIES_DIR": str(folder / "properties"),
        "EDGE_TRUSTED_KEYS": str(folder / "keys.json"),
        "EDGE_STORE_URL": f"redis://{HOST}:{nobody}",
        "EDGE_ORIGIN_URL": f"http://{HOST}:{server.sockets[0].getsockname()[1]}",
        "EDGE_CACHE_DIR": str(folder / "cache"),
        "EDGE_ACCESS_LOG": str(folder / "access.json"),
    }

    def ready() -> bool:
        try:
            return httpx2.get(f"http://{HOST}:{admin}/readyz", trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False

    command = (sys.executable, "-m", "edge")
    edge = Running(Part("edge", command, {**os.environ, **environment}, ready, ""), folder / "log")
    edge.start()
    try:
        await edge.wait_ready()
        yield port
    finally:
        edge.stop()
        server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An origin that has one image under every name."""
    # Cancelled when the run is over.
    over = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
    with contextlib.suppress(*over):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
            if length is not None:
                await reader.readexactly(int(length[1]))
            elif re.search(rb"(?i)\r\ntransfer-encoding:", head):
                await reader.readuntil(b"0\r\n\r\n")
            writer.write(_ANSWER if head.startswith(b"HEAD") else _ANSWER + _BODY)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    typer.run(run)
