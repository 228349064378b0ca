"""The origin's addresses: what strangers' DNS may lead the edge to, and what it may not."""

import asyncio
import ssl
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import httpcore2
import httpx2
import pytest
import uvloop

from edge.upstream import CheckedBackend, CheckedTransport, allowed_networks, refusal
from kvsync.errors import InputError
from tests.edge.world import HOST, World

REFUSED = {
    "10.0.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "100.64.0.1": "CGNAT",
    "100.127.255.255": "CGNAT",
    "0.0.0.0": "unspecified",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "198.18.0.1": "reserved",
    "192.0.0.8": "reserved",
    "192.88.99.1": "reserved",
    "192.0.2.255": "documentation",
    "198.51.100.0": "documentation",
    "203.0.113.7": "documentation",
    "::1": "loopback",
    "::": "unspecified",
    "fc00::1": "private",
    "fdff::1": "private",
    "fec0::1": "private",
    "fe80::1": "link-local",
    "febf::1": "link-local",
    "ff02::1": "multicast",
    "2001:db8::1": "documentation",
    "3fff:fff::1": "documentation",
    "100::1": "reserved",
    "2001:2::1": "reserved",
    "2001:1f::1": "reserved",
    "2001:2f::1": "reserved",
    "2001:1ff::1": "reserved",
    "5f00::1": "reserved",
    "200::1": "reserved",
    "1fff::1": "reserved",
    "4000::1": "reserved",
    "8000::1": "reserved",
    "::ffff:127.0.0.1": "embedded",
    "::ffff:8.8.8.8": "embedded",
    "::ffff:0:10.0.0.1": "embedded",
    "::10.0.0.1": "embedded",
    "64:ff9b::10.0.0.1": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "2002:7f00:1::": "6to4",
    "2001::1": "Teredo",
    "2a00:1450::5efe:10.0.0.1": "ISATAP",
    "2a00:1450::200:5efe:10.0.0.1": "ISATAP",
}
FINE = (
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "169.253.255.255",
    "192.169.0.1",
    "223.255.255.255",
    "2a00:1450:4001::1",
    "2606:4700::1111",
    "2001:200::1",
    "3ffe::1",
)


@pytest.mark.parametrize("text", REFUSED)
def test_addresses_of_the_inside_are_refused(text: str) -> None:
    assert REFUSED[text] in (refusal(ip_address(text)) or "")


@pytest.mark.parametrize("text", FINE)
def test_addresses_of_the_outside_are_fine(text: str) -> None:
    assert refusal(ip_address(text)) is None


def test_what_the_operator_named_is_fine_and_nothing_beside_it() -> None:
    allowed = allowed_networks("http://127.0.0.1:8082", ["10.1.0.0/16"])
    assert refusal(ip_address("127.0.0.1"), allowed) is None
    assert refusal(ip_address("10.1.2.3"), allowed) is None
    assert refusal(ip_address("127.0.0.2"), allowed) == "loopback"
    assert refusal(ip_address("10.2.0.1"), allowed) == "private"


@pytest.mark.parametrize("url", ["http://localhost", "http://2130706433", "http://0x7f000001"])
def test_a_name_allows_nothing(url: str) -> None:
    assert allowed_networks(url, []) == ()


def test_a_network_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="EDGE_ORIGIN_NETWORKS"):
        allowed_networks("http://origin.example", ["10.1.2.3/16"])


def test_a_url_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="EDGE_ORIGIN_URL"):
        allowed_networks("http://0177.0.0.1", [])


@pytest.mark.parametrize("name", ["localhost", "127.1", "2130706433", "0x7f000001"])
async def test_a_name_that_leads_inside_is_not_connected_to(world: World, name: str) -> None:
    port = world.origin.url.rpartition(":")[2]
    transport = CheckedTransport((), ssl.create_default_context(), httpx2.Limits())
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx2.ConnectError, match="loopback.*EDGE_ORIGIN_NETWORKS"):
            await client.get(f"http://{name}:{port}/a.jpg")
    assert world.origin.requests == []


async def test_an_edge_asks_no_origin_whose_name_leads_inside(still_world: World) -> None:
    port = still_world.origin.url.rpartition(":")[2]
    still_world.origin.bodies["/a.jpg"] = b"original"
    await still_world.start_edge(origin_url=f"http://localhost:{port}")
    assert (await still_world.get("/a.jpg")).status_code == 504
    assert still_world.origin.requests == []


async def test_an_edge_asks_it_where_the_operator_says_so(still_world: World) -> None:
    port = still_world.origin.url.rpartition(":")[2]
    still_world.origin.bodies["/a.jpg"] = b"original"
    await still_world.start_edge(
        origin_url=f"http://localhost:{port}", origin_networks=(f"{HOST}/32",)
    )
    assert (await still_world.get("/a.jpg")).content == b"original"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_connection_that_was_lost_at_once_is_none_to_use(run: Callable[..., None]) -> None:
    async def lost() -> None:
        async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        server = await asyncio.start_server(reset, HOST, 0)
        backend = CheckedBackend([ip_network(HOST)])
        stream = await backend.connect_tcp(HOST, server.sockets[0].getsockname()[1])
        with pytest.raises(httpcore2.ReadError):
            while await stream.read(1):
                pass
            raise httpcore2.ReadError
        await stream.aclose()
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("is_readable") is True
        server.close()

    run(lost())
