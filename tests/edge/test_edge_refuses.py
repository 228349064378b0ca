"""Requests that are wrong get a clear 4xx, never a 500."""

import asyncio

import pytest

from edge.ask import read_ask
from kvsync.property import read_property
from tests.edge.world import PROPERTY_FILE, World, raw_exchange

HOST = b"Host: localhost\r\nConnection: close\r\n\r\n"


WRONG = (
    (b"GET /../etc/passwd HTTP/1.1\r\n" + HOST, 400),
    (b"GET /%2e%2e/etc/passwd HTTP/1.1\r\n" + HOST, 400),
    (b"GET http://elsewhere.example/a.jpg HTTP/1.1\r\n" + HOST, 400),
    (b"GET /a%zz.jpg HTTP/1.1\r\n" + HOST, 400),
    (b"GET /a.jpg?fm=bmp HTTP/1.1\r\n" + HOST, 400),
    (b"GET /a.jpg?w=x HTTP/1.1\r\n" + HOST, 400),
    (b"GET /a.jpg?w=1&w=2 HTTP/1.1\r\n" + HOST, 400),
    (b"GET /a.jpg?token=secret HTTP/1.1\r\n" + HOST, 400),
    (b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n" + HOST, 400),
    (b"GET /a.jpg HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    (b"GET /a.jpg HTTP/1.0\r\n\r\n", 400),
    (b"GET /a.jpg HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n", 421),
    (b"GET /" + b"a" * 10_240 + b" HTTP/1.1\r\n" + HOST, 414),
    (b"GET /" + b"a" * 200_000, 414),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 900_000, 431),
    (b"GET /a.jpg HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n" + HOST, 431),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    (b"POST /a.jpg HTTP/1.1\r\nContent-Length: 1\r\nHost: localhost\r\n"
     b"Connection: close\r\n\r\nx", 405),
    (b"OPTIONS * HTTP/1.1\r\n" + HOST, 405),
    (b"CONNECT elsewhere.example:443 HTTP/1.1\r\n" + HOST, 405),
)  # fmt: skip


async def test_a_wrong_request_is_told_so(world: World) -> None:
    for sent, status in WRONG:
        answer = await raw_exchange(world.port, sent)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), (sent[:80], answer[:200])
        assert b'"detail":"' in body
        assert (b"allow: GET, HEAD" in head) == (status == 405)


async def test_a_head_that_never_ends_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.protocol.HEAD_SECONDS", 0.2)
    answer = await raw_exchange(world.port, b"GET /a.jpg HTTP/1.1\r\nHost: loc")
    assert answer.startswith(b"HTTP/1.1 408 ")
    # One that ends in time may take as long as it likes to be answered.
    world.origin.bodies["/a.jpg"] = b"original"
    assert (await world.get("/a.jpg")).status_code == 200


async def test_field_values_beyond_ascii_reach_the_origin_as_they_came(world: World) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    odd = b"GET /a.jpg HTTP/1.1\r\nAccept: image/\xe9\r\nAccept-Language: \xff\r\n" + HOST
    assert (await raw_exchange(world.port, odd)).startswith(b"HTTP/1.1 200 ")
    assert world.origin.requests[-1].headers["accept"] == "image/\xe9"
    assert world.origin.requests[-1].headers["accept-language"] == "\xff"


async def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    await world.publish("/a.jpg")
    sent = b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\nGET /../x HTTP/1.1\r\n" + HOST
    answer = await raw_exchange(world.port, sent)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize(
    ("host", "name"), [("LocalHost:99", "localhost"), ("localhost.:1", "localhost")]
)
def test_the_origin_is_told_the_host_without_the_client_s_port(host: str, name: str) -> None:
    site = read_property(PROPERTY_FILE)
    ask = read_ask("GET", b"/a.jpg", [(b"host", host.encode())], {"localhost": site})
    assert ask.host_name == name


async def test_refusals_are_counted_by_reason(world: World) -> None:
    await asyncio.gather(world.get("/..%2f/%2e%2e/x"), world.client.post("/a.jpg"))
    assert await world.count("edge_answers_total", outcome="error", reason="bad-request") == 1
    assert await world.count("edge_answers_total", outcome="error", reason="method") == 1
