"""What passes the edge where everything is passed through, and how."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.responses import Response, StreamingResponse

from tests.edge.plain_world import METHODS, Plain, plain_edge, status
from tests.edge.world import World, raw_exchange


@pytest.fixture
async def plain(still_world: World, tmp_path: Path) -> AsyncIterator[Plain]:
    async with plain_edge(still_world, tmp_path / "plain") as plain:
        yield plain


async def test_any_method_reaches_the_origin_with_its_content(plain: Plain) -> None:
    for method in METHODS:
        plain.origin.say(b"" if method == "HEAD" else method.encode(), 299, x_odd="yes")
        content = None if method in ("GET", "HEAD") else b"content of " + method.encode()
        answer = await plain.ask(method, "/x?b=2&a=1&a", content=content, headers={"x-own": "1"})
        assert (answer.status_code, answer.headers["x-odd"]) == (299, "yes")
        assert answer.content == (b"" if method == "HEAD" else method.encode())
        seen = plain.origin.seen[-1]
        assert (seen.method, seen.target) == (method, "/x?b=2&a=1&a")
        assert (seen.body, seen.headers["x-own"]) == (content or b"", "1")
        assert seen.headers["via"] == "1.1 edge-1"


async def test_content_is_passed_on_while_it_comes(plain: Plain) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(10_000)

    plain.origin.make = lambda request: Response(b"thanks")
    answer = await plain.ask("POST", content=pieces())
    assert answer.content == b"thanks" and len(plain.origin.seen[-1].body) == 500_000


HEAD = b"POST /a HTTP/1.1\r\nHost: localhost\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def test_content_ends_where_the_edge_says_for_everybody(plain: Plain) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    answer = await raw_exchange(plain.world.port, HEAD + chunked + NEXT)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert [(one.target, one.body) for one in plain.origin.seen] == [("/a", b"abc"), ("/next", b"")]
    assert "x-trailer" not in plain.origin.seen[0].headers


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"Content-Length: +3\r\n\r\nabc",
        b"Transfer-Encoding: chunked, identity\r\n\r\nabc",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_content_that_may_end_in_two_places_reaches_nobody(
    plain: Plain, framing: bytes
) -> None:
    answer = await raw_exchange(plain.world.port, HEAD + framing + NEXT)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"\r\n\r\n") == 1
    assert plain.origin.seen == []


async def test_a_get_with_content_passes_the_cache(plain: Plain) -> None:
    plain.origin.say(b"plain", cache_control="max-age=60")
    await plain.get()
    answer = await plain.ask("GET", content=b"question")
    assert "fwd=request" in status(answer) and plain.origin.seen[-1].body == b"question"


async def test_an_upload_may_take_longer_than_the_deadline(plain: Plain) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b"x"
            await asyncio.sleep(0.45)

    assert (await plain.ask("PUT", content=pieces())).status_code == 200
    assert plain.origin.seen[-1].body == b"xxxxxx"


async def test_methods_that_a_cache_must_not_pass_are_refused(plain: Plain) -> None:
    for method in ("TRACE", "CONNECT"):
        sent = f"{method} /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        assert (await raw_exchange(plain.world.port, sent)).startswith(b"HTTP/1.1 405 ")
    assert plain.origin.seen == []


async def test_connection_fields_go_no_further(plain: Plain) -> None:
    plain.origin.say(cache_control="max-age=60", connection="x-hop, close", x_hop="1", te="x")
    for _ in range(2):
        answer = await plain.get(connection="x-mine", x_mine="1", x_kept="2")
        assert not {"x-hop", "te"} & set(answer.headers)
    headers = plain.origin.seen[0].headers
    assert "x-mine" not in headers and headers["x-kept"] == "2"


async def test_a_condition_that_only_the_origin_may_judge_goes_there(plain: Plain) -> None:
    plain.origin.say(b"body", cache_control="max-age=10", etag='"v"')
    await plain.get()
    plain.origin.say(b"", 412)
    answer = await plain.get(if_match='"w"')
    assert answer.status_code == 412 and "fwd=request" in status(answer)
    assert plain.origin.seen[-1].headers["if-match"] == '"w"'


async def test_an_unsafe_method_drops_what_it_made_untrue(plain: Plain) -> None:
    plain.origin.say(b"kept", cache_control="max-age=60")
    for path in ("/a", "/b", "/c"):
        await plain.get(path)
    plain.origin.say(b"", 500)
    await plain.ask("POST", "/a")
    assert "; hit;" in status(await plain.get("/a"))
    plain.origin.say(b"", 201, location="/b")
    assert "fwd=method" in status(await plain.ask("POST", "/a"))
    plain.origin.say(b"new", cache_control="max-age=60")
    assert [(await plain.get(path)).content for path in ("/a", "/b", "/c")] == [
        b"new",
        b"new",
        b"kept",
    ]


async def test_what_is_too_large_to_be_kept_streams_through(plain: Plain) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(10_000)

    plain.origin.make = lambda request: StreamingResponse(
        pieces(), headers={"cache-control": "max-age=60", "x-a": "1"}
    )
    for _ in range(2):
        answer = await plain.get()
        assert len(answer.content) == 300_000 and answer.headers["x-a"] == "1"
        assert "stored" not in status(answer) and "hit" not in status(answer)
    assert len(plain.origin.seen) == 2


async def test_what_may_not_be_kept_goes_on_as_it_comes(plain: Plain) -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b"second"

    plain.origin.make = lambda request: StreamingResponse(
        pieces(), headers={"cache-control": "no-store"}
    )
    async with plain.world.client.stream("GET", "/a") as answer:
        coming = answer.aiter_raw()
        assert await anext(coming) == b"first"
        more.set()
        assert await anext(coming) == b"second"
    assert len(plain.origin.seen) == 1


async def test_a_body_that_takes_long_goes_on_as_it_comes(plain: Plain) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(9):
            yield b"%d" % number
            await asyncio.sleep(0.25)

    plain.origin.make = lambda request: StreamingResponse(
        pieces(), headers={"cache-control": "max-age=60"}
    )
    answer = await plain.get()
    assert answer.content == b"012345678" and "stored" not in status(answer)
