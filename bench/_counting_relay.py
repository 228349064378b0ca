"""A TCP relay that counts, for benches that hold the system to it: it knows nothing of the system,
and imports nothing of it.

``python bench/_counting_relay.py --counts-port 9000 --route clients=8080:127.0.0.1:8081 …`` relays
each route from its own port. Whoever connects to the counts' port is told, as JSON over HTTP, how
many payload bytes each route carried ``out``, from whoever connected, and ``back``.
"""

import argparse
import asyncio
import contextlib
import json

CHUNK_BYTES = 1 << 16
HOST = "127.0.0.1"

Counts = dict[str, dict[str, int]]


async def carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    counts: dict[str, int],
    direction: str,
) -> None:
    """Move one direction of a connection until its end."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK_BYTES):
            counts[direction] += len(chunk)
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def relay(route: str, counts: Counts) -> asyncio.Server:
    """Listen for ``name=port:host:port``."""
    name, _, rest = route.partition("=")
    port, host, target = rest.split(":")
    own = counts.setdefault(name, {"out": 0, "back": 0})

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await asyncio.open_connection(host, int(target))
            there = asyncio.create_task(carry(reader, far, own, "out"))
            await carry(far_reader, writer, own, "back")
            # The answering side has ended: nobody is left to hear what still comes.
            there.cancel()
        except OSError:
            writer.transport.abort()
        finally:
            for one in (writer, far):
                if one is not None:
                    one.close()

    return await asyncio.start_server(accept, HOST, int(port))


async def tell(port: int, counts: Counts) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            body = json.dumps(counts).encode()
            head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, HOST, port)


async def run(routes: list[str], counts_port: int) -> None:
    counts: Counts = {}
    servers = [await relay(route, counts) for route in routes]
    servers.append(await tell(counts_port, counts))
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--route", action="append", required=True)
    parser.add_argument("--counts-port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.route, arguments.counts_port))
