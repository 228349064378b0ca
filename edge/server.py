"""Build an edge from its settings and serve it until told to stop."""

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

import httpx2
import uvicorn

from edge.access_log import AccessLog
from edge.admin import admin_app
from edge.app import PublicApp
from edge.breaker import Rules
from edge.cache import ResponseCache
from edge.counters import Counters
from edge.flow import Edge
from edge.fronts import Fronts, NginxFolder, Varnish
from edge.gate import Gate
from edge.held import HeldEntries
from edge.hits import Hits
from edge.ledger import minutes_of
from edge.origin_client import Origin
from edge.protocol import EdgeProtocol
from edge.records import Records
from edge.regions import Regions
from edge.renewing import watch_renewals
from edge.replica import Replica
from edge.settings import EdgeSettings
from edge.sites import Sites
from edge.upstream import CheckedTransport, allowed_networks
from kvsync.ending import end
from kvsync.errors import InputError
from kvsync.flights import Flights, Sharing
from kvsync.property import read_properties
from kvsync.settling import settle
from kvsync.signing import Keyring
from kvsync.spool import Spool
from kvsync.store import ValkeyStore

_CONNECTIONS = 256
_LIMITS = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
_BACKLOG = 2048
_GARBAGE = 20_000
_ORIGIN_QUEUE_S = 1.0


class Server(uvicorn.Server):
    """uvicorn's server, leaving signals to the process that runs two of them; it waits to be told
    to stop instead of asking ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_stop = asyncio.Event()

    async def main_loop(self) -> None:
        await self.told_to_stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets of one edge, which its worker processes share."""

    public: socket.socket
    admin: socket.socket

    @classmethod
    def inherited(cls, public: int, admin: int) -> Self:
        return cls(socket.socket(fileno=public), socket.socket(fileno=admin))

    @property
    def fds(self) -> tuple[int, int]:
        return self.public.fileno(), self.admin.fileno()


@contextlib.contextmanager
def listening(settings: EdgeSettings) -> Iterator[Listeners]:
    """The two listening sockets; :class:`InputError` for a busy port."""
    with (
        listen("EDGE_PORT", settings.host, settings.port) as public,
        listen("EDGE_ADMIN_PORT", settings.admin_host, settings.admin_port) as admin,
    ):
        yield Listeners(public, admin)


def check(settings: EdgeSettings) -> None:
    """Raise what :func:`running` would raise before it serves, except for busy ports."""
    read_properties(settings.properties_dir)
    Keyring.read(settings.trusted_keys)
    ResponseCache(settings.cache_dir, settings.cache_bytes, settings.memory_bytes).close()


@contextlib.asynccontextmanager
async def running(
    settings: EdgeSettings,
    clock: Callable[[], float] = time.time,
    inherited: Listeners | None = None,
) -> AsyncIterator[tuple[int, int]]:
    """A serving edge; yields its public and its admin port. Leaving stops it gracefully.

    Raises :class:`InputError` for a busy port, a missing keys or property file, an unusable
    cache folder.
    """
    sites = Sites(settings.properties_dir)
    keys = Keyring.read(settings.trusted_keys)
    with contextlib.nullcontext(inherited) if inherited else listening(settings) as listeners:
        async with built(settings, keys, clock) as edge, in_front(settings) as fronts:
            edge.fronted = bool(fronts)
            hits = Hits(edge, sites)
            protocol = partial(EdgeProtocol, hits=hits)
            public = _server(settings, PublicApp(edge, sites), protocol)
            spool = Spool(settings.ledger_dir, settings.ledger_keep_s)
            admin = _server(settings, admin_app(edge, sites, fronts, spool), "httptools")
            minutes = minutes_of(edge, settings, spool)
            watch_sites(edge, sites)
            beside = [
                sites.watch(settings.reload_s, hits.forget),
                watch_renewals(edge, fronts, sites),
                minutes.keep_cutting(),
            ]
            if inherited:
                # Whichever worker is scraped, it tells what all of them have counted.
                beside.append(edge.counters.share(settings.metrics_dir))
            tasks = [asyncio.create_task(one) for one in beside]
            await edge.connect(sites.ids[0])
            async with _serving((public, listeners.public), (admin, listeners.admin)):
                yield listeners.public.getsockname()[1], listeners.admin.getsockname()[1]
            await end(tasks)
            minutes.cut()
            edge.counters.close()


@contextlib.asynccontextmanager
async def built(
    settings: EdgeSettings, keys: Keyring, clock: Callable[[], float]
) -> AsyncIterator[Edge]:
    """An edge with its cache open and its connections pooled."""
    counters = Counters()
    cache = ResponseCache(settings.cache_dir, settings.cache_bytes, settings.memory_bytes)
    store_timeout_s = settings.store_timeout_ms / 1000
    store = ValkeyStore(settings.store_url, timeout_s=store_timeout_s)
    trusted = ssl.create_default_context()
    named = allowed_networks(settings.origin_url, settings.origin_networks)
    outside = CheckedTransport(named, trusted, _LIMITS)
    async with new_client(trusted, outside) as to_origin:
        edge = Edge(
            node=settings.node,
            cache=cache,
            records=Records(
                store,
                HeldEntries(settings.cache_dir / "records", settings.records_bytes),
                keys,
                timeout_s=store_timeout_s,
                rest_s=settings.store_rest_ms / 1000,
                local_s=settings.records_local_s,
                began=clock(),
                stood_in=counters.record_held,
            ),
            regions=_regions(settings, trusted, counters),
            replica=_replica(settings, trusted, counters),
            origin=Origin(
                settings.origin_url,
                to_origin,
                _origin_gate(settings.origin_concurrency),
                Rules(settings.origin_failures_to_open, settings.origin_rest_ms / 1000),
                body_limit_bytes=settings.body_limit_bytes,
                clock=clock,
            ),
            counters=counters,
            store_timeout_s=store_timeout_s,
            stale_if_error_s=settings.stale_if_error_s,
            clock=clock,
            coalesce_wait_s=settings.coalesce_wait_ms / 1000,
            max_fills=settings.max_fills,
            flights=Flights(Sharing(settings.coalesce_most, settings.coalesce_wait_ms / 1000)),
            access_log=AccessLog(settings.access_log),
        )
        watch(edge)
        try:
            yield edge
        finally:
            await edge.flights.close()
            edge.regions.close()
            edge.replica.close()
            await edge.records.close()
            edge.access_log.close()
            cache.close()


def _regions(settings: EdgeSettings, trusted: ssl.SSLContext, counters: Counters) -> Regions:
    return Regions(
        settings.region_urls,
        _region_rules(settings),
        trusted,
        counters.region_called,
        concurrency=settings.region_concurrency,
        body_limit_bytes=settings.body_limit_bytes,
        hedged=counters.hedged,
    )


def _replica(settings: EdgeSettings, trusted: ssl.SSLContext, counters: Counters) -> Replica:
    return Replica(
        settings.replica_url,
        _region_rules(settings),
        trusted,
        counters.region_called,
        concurrency=settings.region_concurrency,
        body_limit_bytes=settings.body_limit_bytes,
    )


def _region_rules(settings: EdgeSettings) -> Rules:
    return Rules(settings.region_failures_to_open, settings.region_rest_ms / 1000)


def _origin_gate(limit: int) -> Gate:
    return Gate("the origin", limit, queue=limit, wait_s=_ORIGIN_QUEUE_S)


def new_client(trusted: ssl.SSLContext, transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    """A pool that keeps connections; proxies of the environment are not for this traffic."""
    return httpx2.AsyncClient(
        limits=_LIMITS,
        verify=trusted,
        transport=transport,
        trust_env=False,
        follow_redirects=False,
    )


def watch(edge: Edge) -> None:
    """Gauges of what an edge holds and of the health that it sees."""
    counters, state = edge.counters, "0 closed, 1 half-open, 2 open"
    counters.watch("edge_cache_bytes", "Bytes in the cache", lambda: edge.cache.bytes_used)
    counters.watch("edge_cache_entries", "Answers in the cache", lambda: len(edge.cache))
    text = "1 while a purge that failed keeps the cache from being read"
    counters.watch("edge_cache_sealed", text, lambda: edge.cache.sealed)
    counters.watch("edge_cache_faults", "Disk errors of the cache", lambda: edge.cache.faults)
    counters.watch("edge_breaker_state", state, edge.records.state, peer="store")
    counters.watch("edge_breaker_state", state, edge.origin.state, peer="origin")
    counters.watch("edge_breaker_state", state, edge.replica.state, peer="replica")
    counters.watch("edge_fills", "Misses under way", lambda: len(edge.flights))
    for region in edge.regions.all:
        counters.watch("edge_breaker_state", state, region.state, peer=region.url)


@contextlib.asynccontextmanager
async def in_front(settings: EdgeSettings) -> AsyncIterator[Fronts]:
    """The caches in front of this edge, as they are told of purges."""
    folder = settings.nginx_cache_dir
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False) as client:
        varnishes = [Varnish(url, client) for url in settings.varnish_urls]
        fronts = Fronts([*([NginxFolder(folder)] if folder else []), *varnishes])
        yield fronts
        await fronts.close()


def watch_sites(edge: Edge, sites: Sites) -> None:
    """Gauges of the property files and of what keeps new ones from being used."""
    text = "Times that changed property files were refused"
    edge.counters.watch("edge_properties_refused", text, lambda: sites.refused)
    text = "When the properties in force were read (Unix seconds)"
    edge.counters.watch("edge_properties_loaded", text, lambda: sites.loaded_at)
    text = "Lines that the access log could not take"
    edge.counters.watch("edge_access_log_lost", text, lambda: edge.access_log.lost)


def listen(setting: str, host: str, port: int) -> socket.socket:
    """A listening address of our own, so that a busy one is told in a line."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"{setting}: cannot listen on {host}:{port}: {error.strerror}") from error
    # Whatever loop accepts: a head and the body behind it leave at once, not after 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(
    settings: EdgeSettings,
    inherited: Listeners | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or ``stop``, then let the requests at hand finish."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, inherited=inherited):
        settle(_GARBAGE)
        await stop.wait()


def _server(settings: EdgeSettings, app: object, protocol: object) -> Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
    )
    return Server(config)


@contextlib.asynccontextmanager
async def _serving(*pairs: tuple[Server, socket.socket]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(server.serve(sockets=[sock])) for server, sock in pairs]
    while not all(server.started for server, _ in pairs):
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        for server, _ in pairs:
            server.told_to_stop.set()
        await asyncio.gather(*tasks)
