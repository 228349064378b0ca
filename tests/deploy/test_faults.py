"""The fault proxy: what a client sees of each fault, and that healing heals."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from deploy.faults import HEALTHY, HOST, Fault, FaultProxy, control_app
from deploy.link import Route

# For what comes in the end, however busy the machine is.
_PATIENCE_S = 60
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """In front of a server that answers each line with itself, a hundred times."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line * 100)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    proxy = FaultProxy(Route("echo", 0, HOST, server.sockets[0].getsockname()[1]))
    await proxy.start()
    yield proxy
    await proxy.close()
    server.close()


async def connect(proxy: FaultProxy) -> Streams:
    return await asyncio.open_connection(HOST, proxy.route.port)


async def ask(streams: Streams) -> bytes:
    reader, writer = streams
    writer.write(b"hello\n")
    return await asyncio.wait_for(reader.readexactly(600), _PATIENCE_S)


async def silent(streams: Streams) -> bool:
    """Whether nothing at all comes back for a while."""
    streams[1].write(b"hello\n")
    try:
        await asyncio.wait_for(streams[0].read(1), 0.15)
    except TimeoutError:
        return True
    return False


async def test_a_healthy_route_passes_everything(proxy: FaultProxy) -> None:
    assert await ask(await connect(proxy)) == b"hello\n" * 100


async def test_a_refused_connection_is_refused_and_open_ones_are_reset(proxy: FaultProxy) -> None:
    streams = await connect(proxy)
    await ask(streams)
    await proxy.become(Fault("refuse"))
    with pytest.raises(ConnectionResetError):
        await streams[0].read()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    await proxy.become(HEALTHY)
    assert await ask(await connect(proxy))


async def test_a_reset_comes_after_as_many_bytes_as_asked_for(proxy: FaultProxy) -> None:
    await proxy.become(Fault("reset", after_bytes=250))
    reader, writer = await connect(proxy)
    writer.write(b"hello\n")
    assert len(await reader.readexactly(250)) == 250
    with pytest.raises(ConnectionResetError):
        await reader.read()
    await proxy.become(Fault("reset"))
    with pytest.raises(ConnectionResetError):
        await ask(await connect(proxy))


async def test_a_black_hole_swallows_and_gives_back_when_it_heals(proxy: FaultProxy) -> None:
    old = await connect(proxy)
    await ask(old)
    await proxy.become(Fault("black-hole"))
    new = await connect(proxy)
    assert await silent(old) and await silent(new)
    await proxy.become(HEALTHY)
    for reader, _ in (old, new):
        assert await asyncio.wait_for(reader.readexactly(600), _PATIENCE_S) == b"hello\n" * 100


async def test_a_half_closed_connection_ends_one_way_only(proxy: FaultProxy) -> None:
    streams = await connect(proxy)
    await ask(streams)
    await proxy.become(Fault("half-closed"))
    assert await asyncio.wait_for(streams[0].read(), _PATIENCE_S) == b""
    for _ in range(3):
        streams[1].write(b"hello\n")
        await streams[1].drain()  # which would raise on a closed connection
        await asyncio.sleep(0.01)


async def test_a_slow_drip_trickles(proxy: FaultProxy) -> None:
    await proxy.become(Fault(bytes_per_s=200))
    reader, writer = await connect(proxy)
    writer.write(b"hello\n")
    first = await asyncio.wait_for(reader.read(600), _PATIENCE_S)
    assert 0 < len(first) < 100
    await proxy.become(HEALTHY)
    assert len(await asyncio.wait_for(reader.readexactly(600 - len(first)), _PATIENCE_S))


async def test_latency_delays_each_way_and_changes_nothing(proxy: FaultProxy) -> None:
    await proxy.become(Fault(latency_ms=60))
    streams = await connect(proxy)
    streams[1].write(b"hello\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(streams[0].read(1), 0.1)
    assert await asyncio.wait_for(streams[0].readexactly(600), _PATIENCE_S) == b"hello\n" * 100


async def test_a_target_that_is_gone_looks_gone(proxy: FaultProxy) -> None:
    lost = FaultProxy(Route("lost", 0, HOST, 9))
    await lost.start()
    with pytest.raises(OSError) as raised:
        await ask(await connect(lost))
    assert raised.value.errno in (errno.ECONNRESET, None)
    await lost.close()


async def test_faults_are_set_and_told_over_http(proxy: FaultProxy) -> None:
    transport = httpx2.ASGITransport(control_app([proxy]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://control") as client:
        told = await client.put("/routes/echo", content=b'{"kind": "black-hole"}')
        assert told.status_code == 200 and proxy.fault == Fault("black-hole")
        assert (await client.get("/routes")).json()["echo"]["kind"] == "black-hole"
        await client.put("/routes/echo", content=b"{}")
        assert proxy.fault == HEALTHY
        for name, body, status in (
            ("other", b"{}", 404),
            ("echo", b'{"kind": "sabotage"}', 400),
            ("echo", b'{"latency_ms": -1}', 400),
            ("echo", msgspec.json.encode({"speed": 1}), 400),
        ):
            refused = await client.put(f"/routes/{name}", content=body)
            assert refused.status_code == status and refused.json()["error"]
