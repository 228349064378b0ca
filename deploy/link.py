"""The middle mile on one machine: a TCP relay with a long wire's delay and bandwidth, and counters.

``python -m deploy.link --route images=8085:127.0.0.1:8082 …`` listens once per route; all routes
share one wire, so that a model pull slows images down as it does in life. Modelled: the round trip
(also for connecting), the serialisation delay of the bandwidth, the queue before it. Not modelled:
loss and TCP's slow start, both of which would only make hauling slower.

``/metrics`` on ``--metrics-port`` counts bytes and connections by route and direction: ``out``
from the region, which is the one who connects, ``back``
to it.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, start_http_server

from kvsync.errors import InputError

CHUNK_BYTES = 16_384
QUEUE_CHUNKS = 64

BYTES = Counter("link_bytes", "Bytes carried over the middle mile", ["route", "direction"])
CONNECTIONS = Counter("link_connections", "Connections made over the middle mile", ["route"])


@dataclass(frozen=True)
class Route:
    """One named listener and where it leads."""

    name: str
    port: int
    host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read ``name=port:host:port``."""
        try:
            name, _, rest = text.partition("=")
            port, host, target = rest.split(":")
            return cls(name, int(port), host, int(target))
        except ValueError as error:
            raise InputError(f"route {text!r}: write it as name=port:host:port") from error


@dataclass
class Wire:
    """One direction of the link: when does a chunk that is sent now arrive?"""

    one_way_s: float
    bytes_per_s: float
    _free_at: float = field(default=0.0)

    def arrival(self, size: int, sent: float) -> float:
        """Arrival time of ``size`` bytes ready at ``sent``; 0 bytes per second means no limit."""
        start = max(sent, self._free_at)
        self._free_at = start + (size / self.bytes_per_s if self.bytes_per_s else 0.0)
        return self._free_at + self.one_way_s


class Relay:
    """Accepts connections of one route and carries them over the two wires."""

    def __init__(self, route: Route, up: Wire, down: Wire) -> None:
        self.route = route
        self._up = up
        self._down = down

    async def serve(self) -> asyncio.Server:
        try:
            return await asyncio.start_server(self._accept, "127.0.0.1", self.route.port)
        except OSError as error:
            raise InputError(
                f"link {self.route.name}: port {self.route.port} is in use; choose another"
            ) from error

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The kernel has completed the handshake already; a real one takes a round trip.
        connected = time.monotonic() + self._up.one_way_s + self._down.one_way_s
        try:
            far_reader, far_writer = await asyncio.open_connection(
                self.route.host, self.route.target_port
            )
        except OSError:
            writer.transport.abort()
            return
        CONNECTIONS.labels(self.route.name).inc()
        try:
            await asyncio.gather(
                self._carry(reader, far_writer, self._up, "out", connected),
                self._carry(far_reader, writer, self._down, "back", connected),
            )
        finally:
            for one in (writer, far_writer):
                one.close()
                with contextlib.suppress(ConnectionError):
                    await one.wait_closed()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        wire: Wire,
        direction: str,
        not_before: float,
    ) -> None:
        """Move one direction of a connection until its end or the first broken pipe."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_CHUNKS)
        deliver = asyncio.create_task(_deliver(queue, writer))
        count = BYTES.labels(self.route.name, direction)
        try:
            while not deliver.done():
                chunk = await reader.read(CHUNK_BYTES)
                count.inc(len(chunk))
                sent = max(time.monotonic(), not_before)
                await queue.put((wire.arrival(len(chunk), sent), chunk))
                if not chunk:
                    break
            await deliver
        except ConnectionError:
            writer.transport.abort()
        finally:
            deliver.cancel()


async def _deliver(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    while True:
        arrival, chunk = await queue.get()
        await asyncio.sleep(arrival - time.monotonic())
        if not chunk:
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.write(chunk)
        await writer.drain()


async def run(routes: Sequence[Route], rtt_ms: float, mbit_s: float) -> None:
    """Relay until SIGTERM or SIGINT."""
    one_way_s = rtt_ms / 2_000
    bytes_per_s = mbit_s * 125_000
    up, down = Wire(one_way_s, bytes_per_s), Wire(one_way_s, bytes_per_s)
    servers = [await Relay(route, up, down).serve() for route in routes]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.link", description=__doc__)
    parser.add_argument("--route", action="append", required=True, metavar="NAME=PORT:HOST:PORT")
    parser.add_argument("--rtt-ms", type=float, default=180.0)
    parser.add_argument("--mbit-s", type=float, default=50.0, help="0 for no limit")
    parser.add_argument("--metrics-port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        routes = [Route.parse(text) for text in arguments.route]
        try:
            start_http_server(arguments.metrics_port, "127.0.0.1")
        except OSError as error:
            raise InputError(f"link: port {arguments.metrics_port} is in use") from error
        asyncio.run(run(routes, arguments.rtt_ms, arguments.mbit_s))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
