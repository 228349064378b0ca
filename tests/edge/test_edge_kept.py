"""Kept connections to a region, against a server that says exactly what a test has it say."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from edge.kept import KeptConnections, Told
from kvsync.errors import InputError

OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\nimage"


class Server:
    """Answers each request with the next of ``answers``, the last for ever; None hangs up."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.connections = 0
        self.heads: list[bytes] = []
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(len(b"record"))
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def kept_to(server: Server) -> AsyncIterator[KeptConnections]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    kept = KeptConnections(url, ssl.create_default_context(), body_limit_bytes=100_000)
    try:
        yield kept
    finally:
        kept.close()
        listening.close()


async def ask(kept: KeptConnections, within_s: float = 5.0) -> Told:
    fields = [("content-type", "application/msgpack"), ("x-request-id", "one")]
    return await kept.post("/v1/a", b"record", fields, within_s=within_s, connect_within_s=2.0)


async def test_one_connection_serves_one_request_after_the_other() -> None:
    server = Server(OK)
    async with kept_to(server) as kept:
        for _ in range(3):
            told = await ask(kept)
            assert (told.status, told.body) == (200, b"image")
            assert told.fields["content-type"] == "image/jpeg"
    assert server.connections == 1
    head = server.heads[0]
    assert head.startswith(b"POST /v1/a HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\nx-request-id: one\r\n" in head and b"\r\ncontent-length: 6\r\n" in head


async def test_those_who_ask_at_once_have_a_connection_each() -> None:
    server = Server(OK)
    async with kept_to(server) as kept:
        await kept.open(2)
        await asyncio.gather(*(ask(kept) for _ in range(5)))
        await asyncio.gather(*(ask(kept) for _ in range(5)))
    assert server.connections == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nim\r\n3\r\nage\r\n0\r\nContent-Type: no/trailer\r\n\r\n",
    ],
)
async def test_an_interim_answer_and_chunks_are_understood(answer: bytes) -> None:
    async with kept_to(Server(answer)) as kept:
        told = await ask(kept)
        assert (told.status, told.body) == (200, b"image")
        assert told.fields.get("content-type") != "no/trailer"


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK + OK,
        OK + b"more than was announced",
    ],
)
async def test_a_connection_that_is_not_to_be_used_again_is_not(answer: bytes) -> None:
    server = Server(answer)
    async with kept_to(server) as kept:
        for _ in range(2):
            assert (await ask(kept)).body == b"image"
    assert server.connections == 2


async def test_what_comes_unasked_is_nobody_s_answer() -> None:
    server = Server(OK)
    async with kept_to(server) as kept:
        assert (await ask(kept)).body == b"image"
        (idle,) = kept._idle
        idle.data_received(OK.replace(b"image", b"wrong"))
        assert (await ask(kept)).body == b"image"
    assert server.connections == 2


async def test_a_connection_closed_just_as_it_is_used_again_is_replaced_once() -> None:
    server = Server(OK, None, OK, None, None)
    async with kept_to(server) as kept:
        await ask(kept)
        assert (await ask(kept)).body == b"image"
        assert server.connections == 2
        with pytest.raises(ConnectionError):
            await ask(kept)
    assert server.connections == 3


async def test_a_connection_that_lay_idle_for_long_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(OK)
    async with kept_to(server) as kept:
        await ask(kept)
        monkeypatch.setattr("edge.kept._KEPT_S", -1.0)
        await ask(kept)
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        OK[:-1],
        b"HTTP/1.1 200 OK\r\n\r\nwithout a length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 40_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        None,
    ],
)
async def test_half_an_answer_or_none_is_no_answer(answer: bytes | None) -> None:
    class Once(Server):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\nrecord")
            writer.write(answer or b"")
            writer.close()

    async with kept_to(Once(answer)) as kept:
        with pytest.raises(ConnectionError):
            await ask(kept)
        assert kept._idle == []


async def test_nobody_waits_past_the_deadline_and_the_connection_goes_with_the_call() -> None:
    server = Server(b"")
    async with kept_to(server) as kept:
        with pytest.raises(TimeoutError):
            await ask(kept, within_s=0.05)
        await server.left.wait()
        assert kept._idle == []


def test_a_url_with_a_password_is_refused() -> None:
    with pytest.raises(InputError, match="scheme, host and port only"):
        KeptConnections("http://me:secret@region", ssl.create_default_context(), body_limit_bytes=1)


def _hang_up_on_everyone(listening: socket.socket) -> None:
    """Reset each connection as soon as it is there."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def test_connections_lost_before_all_of_them_are_open_are_not_kept() -> None:
    """uvloop, which edges run on, raises no OSError for writing to such a one."""

    async def open_and_ask(url: str) -> None:
        kept = KeptConnections(url, ssl.create_default_context(), body_limit_bytes=100)
        with contextlib.suppress(OSError):
            await kept.open(50)
        for _ in range(50):
            with pytest.raises(OSError):
                await ask(kept)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        resetting = threading.Thread(target=_hang_up_on_everyone, args=(listening,))
        resetting.start()
        try:
            uvloop.run(open_and_ask(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            resetting.join()
