"""Nobody in front of the edge may see other requests in a connection than it does."""

import pytest

from tests.edge.world import World, raw_exchange

# What a party that does not count the content takes for a second request.
HIDDEN = b"GET /hidden.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "rest", "status"),
    [
        (b"GET", LENGTH + HIDDEN, b"400"),
        (b"HEAD", LENGTH + HIDDEN, b"400"),
        (b"GET", CHUNKED % (len(HIDDEN), HIDDEN), b"400"),
        (b"POST", LENGTH + HIDDEN, b"405"),
        (b"GET", b"Content-Length: 0\r\n" + CHUNKED % (len(HIDDEN), HIDDEN), b"400"),
    ],
)
async def test_a_request_with_content_is_the_last_of_its_connection(
    world: World, method: bytes, rest: bytes, status: bytes
) -> None:
    sent = method + b" /a.jpg HTTP/1.1\r\nHost: localhost\r\n" + rest + HIDDEN
    answer = await raw_exchange(world.port, sent)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"connection: close") == 1
    assert world.origin.requests == []


async def test_a_length_of_nothing_is_no_content(world: World) -> None:
    await world.publish("/a.jpg")
    sent = (
        b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    assert (await raw_exchange(world.port, sent + b"\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_what_cannot_be_read_is_not_answered_before_what_came_first(world: World) -> None:
    world.region.takes_s = 0.1
    await world.publish("/a.jpg")
    sent = b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"no request\r\n\r\n"
    answer = await raw_exchange(world.port, sent)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1 ") == 1
    again = await raw_exchange(world.port, sent)
    assert again.startswith(b"HTTP/1.1 200 ") and b"HTTP/1.1 400 " in again
