"""Requests that no well-behaved client sends, written to the socket byte by byte."""

import asyncio

from deploy.check.world import expect
from deploy.layout import HOST

_SECONDS = 5.0


async def refused(port: int, target: bytes, status: int, host: bytes = b"localhost") -> str:
    """Send ``target`` as it is and expect ``status`` with a body that says why."""
    answer = await asyncio.wait_for(_exchange(port, target, host), _SECONDS)
    head, _, body = answer.partition(b"\r\n\r\n")
    line = head.split(b"\r\n", 1)[0].decode(errors="replace")
    expect(f" {status} " in f"{line} ", line or "the connection closed")
    expect(len(body) > 0, "no word of why")
    return line.partition(" ")[2]


async def _exchange(port: int, target: bytes, host: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (target, host))
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
