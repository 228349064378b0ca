"""What is counted of a request and its answer is what a socket saw of them."""

import asyncio

import httpx2
import pytest

from kvsync.carried import answered_bytes, asked_bytes, carried_bytes

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Odd-Case: a b\r\n\r\nhello"


@pytest.mark.parametrize("content", [None, b"posted"])
async def test_both_ways_are_what_went_over_the_socket(content: bytes | None) -> None:
    heard = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.readuntil(b"\r\n\r\n")
        heard += await reader.readexactly(len(content or b""))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a%20b?c=d"
    async with server, httpx2.AsyncClient(trust_env=False) as client:
        got = await client.request("POST" if content else "GET", url, content=content)
    assert asked_bytes(got.request) + len(content or b"") == len(heard)
    assert answered_bytes(got) == len(ANSWER)
    assert carried_bytes(got) + len(content or b"") == len(heard) + len(ANSWER)
