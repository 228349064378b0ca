"""The relay that stands for the middle mile."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from deploy.layout import HOST, free_ports
from deploy.link import Route, Wire
from kvsync.errors import InputError


def test_a_chunk_arrives_after_its_serialisation_and_the_delay() -> None:
    wire = Wire(one_way_s=0.09, bytes_per_s=1_000)
    assert wire.arrival(100, sent=5.0) == pytest.approx(5.19)


def test_chunks_queue_behind_one_another() -> None:
    wire = Wire(one_way_s=0.0, bytes_per_s=1_000)
    assert [wire.arrival(100, sent=0.0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_a_wire_without_limit_only_delays() -> None:
    wire = Wire(one_way_s=0.5, bytes_per_s=0)
    assert [wire.arrival(10**9, sent=1.0) for _ in range(2)] == [1.5, 1.5]


def test_a_route_is_read_from_the_command_line() -> None:
    assert Route.parse("images=80:127.0.0.1:81") == Route("images", 80, "127.0.0.1", 81)


@pytest.mark.parametrize("text", ["", "images", "images=80", "images=x:127.0.0.1:81"])
def test_a_wrong_route_says_how_to_write_it(text: str) -> None:
    with pytest.raises(InputError, match="write it as name=port:host:port"):
        Route.parse(text)


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.write_eof()
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def relay(target: int, *options: str) -> AsyncIterator[tuple[int, int]]:
    """A relay process; yields its port and its metrics port."""
    port, metrics = free_ports(2)
    command = [sys.executable, "-m", "deploy.link", "--metrics-port", str(metrics)]
    command += ["--route", f"images={port}:{HOST}:{target}", *options]
    process = subprocess.Popen(command)
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                break
            except OSError:
                assert process.poll() is None
                await asyncio.sleep(0.05)
        yield port, metrics
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


async def exchange(port: int, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(message)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_bytes_cross_whole_late_and_counted() -> None:
    message = bytes(range(256)) * 1_000
    async with echo_server() as target, relay(target, "--rtt-ms", "100") as (port, metrics):
        begun = time.monotonic()
        assert await exchange(port, message) == message
        # One round trip to connect and one for the exchange.
        assert time.monotonic() - begun >= 0.2
        async with httpx2.AsyncClient() as client:
            counted = (await client.get(f"http://{HOST}:{metrics}/metrics")).text
    for direction in ("out", "back"):
        assert f'link_bytes_total{{direction="{direction}",route="images"}} {256_000.0}' in counted


async def test_a_dead_origin_is_a_closed_connection() -> None:
    async with echo_server() as gone:
        pass
    async with relay(gone, "--rtt-ms", "0") as (port, _):
        with pytest.raises(ConnectionError):
            reader, _ = await asyncio.open_connection(HOST, port)
            if await reader.read() == b"":
                raise ConnectionResetError
