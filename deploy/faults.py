"""A TCP proxy that breaks on command, to stand between two parts of the system.

``python -m deploy.faults --route region=9083:127.0.0.1:8083 --control-port 9090`` listens once per
route. ``PUT /routes/region`` on the control port, with a :class:`Fault` as JSON body, changes what
becomes of that route's connections, open ones included; ``{}`` heals it. ``GET /routes`` tells.

A process that hangs or dies is not a fault of the network: see :mod:`deploy.processes`.
"""

import argparse
import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
import uvicorn
from msgspec import Meta
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Endpoint

from deploy.link import Route
from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError

HOST = "127.0.0.1"
CHUNK_BYTES = 16_384
QUEUE_CHUNKS = 64
# A slow answer trickles: as many pieces a second, whatever the rate.
_PIECES_PER_S = 20

Kind = Literal["none", "refuse", "reset", "black-hole", "half-closed"]
Amount = Annotated[float, Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a route's connections.

    ``refuse``: nobody listens. ``reset``: accepted, then aborted. ``black-hole``: accepted, and no
    byte passes either way. ``half-closed``: the answer's direction is ended, the other stays open.
    The kind sets in after ``after_bytes`` of answers on each connection. ``latency_ms`` is each
    way's; ``bytes_per_s`` bounds each connection's answers, 0 for no bound (slow drip: a few
    hundred).
    """

    kind: Kind = "none"
    after_bytes: Annotated[int, Meta(ge=0)] = 0
    latency_ms: Amount = 0.0
    bytes_per_s: Amount = 0.0


HEALTHY = Fault()


class _Aborted(Exception):
    """This connection is to end with a reset."""


@dataclass(eq=False)
class _Connection:
    """One client's connection and the one to the target that belongs to it."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter | None = None
    answered_bytes: int = 0

    def abort(self) -> None:
        for writer in (self.near, self.far):
            if writer is None or writer.transport.is_closing():
                continue
            # Unsent bytes are dropped and the peer gets a reset instead of an end.
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()


@dataclass
class FaultProxy:
    """One route's listener. :meth:`become` changes its fault while it runs."""

    route: Route
    fault: Fault = HEALTHY
    _server: asyncio.Server | None = None
    _connections: set[_Connection] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Listen; :class:`InputError` when the port is taken."""
        try:
            self._server = await asyncio.start_server(self._accept, HOST, self.route.port)
        except OSError as error:
            raise InputError(
                f"fault proxy {self.route.name}: port {self.route.port}: {error.strerror}"
            ) from error
        port = self._server.sockets[0].getsockname()[1]
        self.route = Route(self.route.name, port, self.route.host, self.route.target_port)

    async def become(self, fault: Fault) -> None:
        """From now on behave as ``fault`` says."""
        self.fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault.kind == "refuse":
            self._stop_listening()
        elif self._server is None:
            await self.start()
        for connection in list(self._connections):
            if connection.answered_bytes >= fault.after_bytes:
                if fault.kind in ("refuse", "reset"):
                    connection.abort()
                elif fault.kind == "half-closed":
                    _end(connection.near)

    async def close(self) -> None:
        self._stop_listening()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(connection)
        self._tasks.add(task)
        try:
            await self._carry_both(connection, reader)
        except* (_Aborted, OSError):
            connection.abort()
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)
            for one in (connection.near, connection.far):
                if one is not None:
                    one.close()

    async def _carry_both(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        await self._passable(connection)
        far_reader, connection.far = await asyncio.open_connection(
            self.route.host, self.route.target_port
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(connection, reader, connection.far, False))
            group.create_task(self._carry(connection, far_reader, connection.near, True))

    async def _carry(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: bool,
    ) -> None:
        """Move one direction until its end; latency delays bytes, it does not thin them out."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_CHUNKS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(connection, queue, writer, answer))
            while True:
                chunk = await reader.read(CHUNK_BYTES)
                await queue.put((time.monotonic() + self.fault.latency_ms / 1000, chunk))
                if not chunk:
                    return

    async def _deliver(
        self,
        connection: _Connection,
        queue: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        answer: bool,
    ) -> None:
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(due - time.monotonic())
            if not chunk:
                await self._passable(connection)
                _end(writer)
                return
            while chunk:
                size = await self._passable(connection)
                piece, chunk = chunk[:size], chunk[size:]
                if answer:
                    connection.answered_bytes += len(piece)
                    if self.fault.kind == "half-closed" and writer.is_closing():
                        return
                writer.write(piece)
                await writer.drain()
                if answer and self.fault.bytes_per_s:
                    await asyncio.sleep(len(piece) / self.fault.bytes_per_s)

    async def _passable(self, connection: _Connection) -> int:
        """Wait while nothing passes; then how many bytes may go at once."""
        while True:
            fault = self.fault
            left = fault.after_bytes - connection.answered_bytes
            if fault.kind == "none" or left > 0:
                size = CHUNK_BYTES
                if fault.bytes_per_s:
                    size = max(1, min(size, int(fault.bytes_per_s / _PIECES_PER_S)))
                return size if fault.kind == "none" else min(size, left)
            if fault.kind in ("refuse", "reset"):
                raise _Aborted
            if fault.kind == "half-closed":
                _end(connection.near)
            await self._changed.wait()


def _end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


def control_app(proxies: Sequence[FaultProxy]) -> Starlette:
    """``PUT /routes/NAME`` and ``GET /routes``."""
    by_name = {proxy.route.name: proxy for proxy in proxies}

    async def tell(request: Request) -> Response:
        return _json({name: proxy.fault for name, proxy in by_name.items()})

    async def change(request: Request) -> Response:
        proxy = by_name.get(request.path_params["name"])
        if proxy is None:
            return _json({"error": f"no such route; there are {', '.join(by_name)}"}, 404)
        try:
            fault = msgspec.json.decode(await request.body(), type=Fault)
        except UNREADABLE as error:
            return _json({"error": f"not a fault: {error}"}, 400)
        await proxy.become(fault)
        return _json(fault)

    return Starlette(
        routes=[
            Endpoint("/routes", tell, methods=["GET"]),
            Endpoint("/routes/{name}", change, methods=["PUT"]),
        ]
    )


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def run(routes: Sequence[Route], control_port: int) -> None:
    """Relay until SIGTERM or SIGINT."""
    proxies = [FaultProxy(route) for route in routes]
    for proxy in proxies:
        await proxy.start()
    config = uvicorn.Config(
        control_app(proxies), host=HOST, port=control_port, log_level="warning", lifespan="off"
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        for proxy in proxies:
            await proxy.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.faults", description=__doc__)
    parser.add_argument("--route", action="append", required=True, metavar="NAME=PORT:HOST:PORT")
    parser.add_argument("--control-port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        asyncio.run(run([Route.parse(text) for text in arguments.route], arguments.control_port))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
