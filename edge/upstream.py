"""Which addresses the origin may have, checked when a connection is made.

A name that a request or a stranger's DNS leads to the machine's own network would make the edge a
way in (server-side request forgery), so the address that is connected to is the one that was
checked: a second look-up could say otherwise (DNS rebinding).
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

import httpcore2
import httpx2

from edge.surplus import close_on_surplus
from kvsync.errors import InputError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# IANA's special-purpose registries (RFC 6890), by the reason for which an address is refused.
_SPECIAL = tuple(
    (ip_network(network), why)
    for why, networks in {
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "loopback": "127.0.0.0/8 ::1/128",
        "link-local": "169.254.0.0/16 fe80::/10",
        "shared by carriers (CGNAT)": "100.64.0.0/10",
        "unspecified": "0.0.0.0/8 ::/128",
        "multicast": "224.0.0.0/4 ff00::/8",
        "reserved": "192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4",
        "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "an embedded IPv4 address": "::ffff:0:0/96 ::ffff:0:0:0/96 ::/96",
        "an IPv4 address behind NAT64": "64:ff9b::/96 64:ff9b:1::/48",
        "an IPv4 address behind 6to4": "2002::/16",
        "an IPv4 address behind Teredo": "2001::/32",
        # Protocols' own, and all that is no global unicast (RFC 4291 section 2.4: 2000::/3).
        "reserved by the IETF": "2001::/23 ::/3 4000::/2 8000::/1",
    }.items()
    for network in networks.split()
)
# Interface identifiers that hold an IPv4 address (RFC 5214 section 6.1).
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


def refusal(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """Why ``address`` is none for an origin, None where it may be; ``allowed`` are the networks
    that the operator named."""
    if any(address in network for network in allowed):
        return None
    for network, why in _SPECIAL:
        if address.version == network.version and address in network:
            return why
    if isinstance(address, IPv6Address) and int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        return "an IPv4 address behind ISATAP"
    return None


def allowed_networks(origin_url: str, named: Iterable[str]) -> tuple[Network, ...]:
    """What the operator configured explicitly: the address in the origin's URL, if it is one and
    not a name, and networks like ``10.1.0.0/16``. :class:`InputError` for one that is none."""
    networks: list[Network] = []
    try:
        networks = [ip_network(network) for network in named]
    except ValueError as error:
        raise InputError(f"EDGE_ORIGIN_NETWORKS: {error}; write it as 10.1.0.0/16") from error
    try:
        host = httpx2.URL(origin_url).host
    except httpx2.InvalidURL as error:
        raise InputError(f"EDGE_ORIGIN_URL: {origin_url}: {error}") from error
    try:
        networks.append(ip_network(host))
    except ValueError:
        return tuple(networks)  # a name: its addresses are checked as they are found
    return tuple(networks)


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that :func:`refusal` has nothing against."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in await self._addresses(host, port, timeout):
            try:
                return _Stream(
                    await self._inner.connect_tcp(
                        str(address), port, timeout, local_address, socket_options
                    )
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("an origin is not asked over a Unix socket")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int, timeout: float | None) -> list[Address]:
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, port, type=socket.SOCK_STREAM
                )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host}: the name was not resolved in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(f"{host}: {error}") from error
        # Scope ids (fe80::1%eth0) are of link-local addresses, which are refused either way.
        addresses = [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
        refused = {address: refusal(address, self._allowed) for address in addresses}
        fine = [address for address in addresses if refused[address] is None]
        if not fine:
            told = ", ".join(f"{address} is {why}" for address, why in refused.items())
            raise httpcore2.ConnectError(
                f"{host}: {told}; if that is meant, name the network in EDGE_ORIGIN_NETWORKS"
            )
        return fine


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that may be lost at any time, of which nothing is known from then on: asked
    about its socket, the stream within would fail with an AttributeError."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        try:
            return self._inner.get_extra_info(info)
        except (AttributeError, OSError):
            # What is there to be read is that it ended: nobody uses it again.
            return True if info == "is_readable" else None


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport, connecting through a :class:`CheckedBackend`."""

    def __init__(
        self, allowed: Sequence[Network], trusted: ssl.SSLContext, limits: httpx2.Limits
    ) -> None:
        super().__init__(verify=trusted, trust_env=False, limits=limits)
        close_on_surplus()
        # httpx2 has no parameter for it; a test connects to a refused address to hold this.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=CheckedBackend(allowed),
        )
