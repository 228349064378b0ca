"""An HTTP server on a free port that answers what it is told to, well or badly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kvsync.model import ModelAnnouncement
from kvsync.signing import SigningKey
from regional_gpu.generator.model_folder import describe


@dataclass
class OriginStandIn:
    """Serves ``bodies`` by path; ``announced_bytes`` overrides a Content-Length."""

    url: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    announced_bytes: dict[str, int] = field(default_factory=dict)
    status: int = 200
    delay_s: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)

    def offer(self, folder: Path, key: SigningKey, *, property: str = "rumba") -> bytes:
        """Announce and serve the files of a model folder; the model's digest."""
        manifest = describe(folder)
        announced = ModelAnnouncement("model", property, "rumba", manifest)
        base = f"/v1/models/{manifest.digest.hex()}"
        self.bodies[base] = announced.sign(key)
        for file in manifest.files:
            self.bodies[f"{base}/{file.path}"] = (folder / file.path).read_bytes()
        return manifest.digest

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            self.asked[path] += 1
            await asyncio.sleep(self.delay_s)
            body = self.bodies.get(path)
            status = self.status if body is not None else 404
            body = body or b""
            length = self.announced_bytes.get(path, len(body))
            writer.write(
                f"HTTP/1.1 {status} -\r\nContent-Length: {length}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            writer.write(body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The region hung up on a file that was too long.
        finally:
            writer.close()


@asynccontextmanager
async def origin_stand_in() -> AsyncIterator[OriginStandIn]:
    origin = OriginStandIn()
    server = await asyncio.start_server(origin.answer, "127.0.0.1", 0)
    origin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield origin
    finally:
        server.close()
