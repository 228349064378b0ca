"""A property that passes everything through: what a plain cache in front of any origin does."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.edge.world import Peer, World, raw_exchange

PROPERTY = """
id = "plain"
hosts = ["127.0.0.1", "localhost"]
pass_through = true
origin_deadline_ms = 2000
[caching]
negative_s = 0
"""
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS M-SEARCH PROPFIND".split()
Make = Callable[[Request], Response]


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class PlainOrigin(Peer):
    """Answers with what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(Starlette(routes=[Route("/{path:path}", self._answer, methods=METHODS)]))
        self.seen: list[Seen] = []
        self.make: Make = lambda request: Response(b"plain")

    async def _answer(self, request: Request) -> Response:
        query = request.scope["query_string"].decode()
        target = request.scope["raw_path"].decode() + (f"?{query}" if query else "")
        body = await request.body()
        self.seen.append(Seen(request.method, target, dict(request.headers), body))
        await self.wait_while_hung()
        return self.make(request)

    def say(self, body: bytes = b"plain", status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.make = lambda request: Response(body, status, named)


@dataclass
class Plain:
    world: World
    origin: PlainOrigin

    async def ask(self, method: str, path: str = "/a", **changed: Any) -> httpx2.Response:
        return await self.world.client.request(method, path, **changed)

    async def get(self, path: str = "/a", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", path, headers=named)


@pytest.fixture
async def plain(still_world: World, tmp_path: Path) -> AsyncIterator[Plain]:
    origin = PlainOrigin()
    await origin.start()
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "plain.toml").write_text(PROPERTY)
    await still_world.start_edge(properties_dir=folder, origin_url=origin.url)
    yield Plain(still_world, origin)
    origin.hung = False
    await still_world.stop_edge()
    origin.kill()


def status(answer: httpx2.Response) -> str:
    return answer.headers["cache-status"]


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


async def test_what_may_be_kept_is_a_hit_of_its_own_age(plain: Plain) -> None:
    plain.origin.say(b"kept", cache_control="max-age=60", x_a="1")
    first = await plain.get()
    plain.world.later_s = 30
    second = await plain.get()
    assert status(first) == 'edge-1; fwd=uri-miss; stored; detail="origin:pass-through"'
    assert status(second).startswith("edge-1; hit; ttl=") and second.content == b"kept"
    assert 29 <= int(second.headers["age"]) <= 31 and second.headers["x-a"] == "1"
    assert second.headers["date"] == first.headers["date"]
    assert len(plain.origin.seen) == 1


async def test_connection_fields_go_no_further(plain: Plain) -> None:
    plain.origin.say(cache_control="max-age=60", connection="x-hop, close", x_hop="1", te="x")
    for _ in range(2):
        answer = await plain.get(connection="x-mine", x_mine="1", x_kept="2")
        assert not {"x-hop", "te"} & set(answer.headers)
    headers = plain.origin.seen[0].headers
    assert "x-mine" not in headers and headers["x-kept"] == "2"


async def test_a_stale_answer_is_validated_and_renewed(plain: Plain) -> None:
    plain.origin.say(b"body", cache_control="max-age=10", etag='"v"', x_a="1")
    await plain.get()
    plain.world.later_s = 20
    plain.origin.say(b"", 304, cache_control="max-age=200", etag='"v"', x_a="2")
    renewed = await plain.get()
    assert plain.origin.seen[-1].headers["if-none-match"] == '"v"'
    assert (renewed.status_code, renewed.content) == (200, b"body")
    assert renewed.headers["x-a"] == "2"
    assert "fwd=stale; fwd-status=304; stored" in status(renewed)
    plain.world.later_s = 100
    assert "; hit;" in status(await plain.get())


async def test_a_client_s_condition_is_answered_from_what_was_validated(plain: Plain) -> None:
    plain.origin.say(b"body", cache_control="max-age=10", etag='"v"')
    await plain.get()
    assert (await plain.get(if_none_match='"v"')).status_code == 304
    plain.world.later_s = 20
    plain.origin.say(b"", 304, cache_control="max-age=90")
    assert (await plain.get(if_none_match='"v"')).status_code == 304
    assert (await plain.get(if_none_match='"w"')).content == b"body"


async def test_a_condition_that_only_the_origin_may_judge_goes_there(plain: Plain) -> None:
    plain.origin.say(b"body", cache_control="max-age=10", etag='"v"')
    await plain.get()
    plain.origin.say(b"", 412)
    answer = await plain.get(if_match='"w"')
    assert answer.status_code == 412 and "fwd=request" in status(answer)
    assert plain.origin.seen[-1].headers["if-match"] == '"w"'


async def test_a_304_to_no_condition_is_the_origin_s_fault(plain: Plain) -> None:
    plain.origin.say(b"", 304)
    assert (await plain.get(if_none_match='"x"')).status_code == 504


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


async def test_each_variant_is_kept_and_all_are_dropped_together(plain: Plain) -> None:
    def by_language(request: Request) -> Response:
        said = {"cache-control": "max-age=60", "vary": "Accept-Language"}
        return Response(request.headers.get("accept-language", "none"), headers=said)

    plain.origin.make = by_language
    for language in ("de", "en", "de", "en", "EN", "de;q=1"):
        answer = await plain.get(accept_language=language)
        assert answer.text == language.partition(";")[0].lower()
    assert len(plain.origin.seen) == 2
    missed = await plain.get(accept_language="fr")
    assert "fwd=vary-miss" in status(missed)
    await plain.ask("DELETE")
    await plain.get(accept_language="fr")
    assert "fwd=vary-miss" in status(await plain.get(accept_language="de"))


async def test_one_range_is_cut_from_what_is_kept(plain: Plain) -> None:
    plain.origin.say(b"0123456789", cache_control="max-age=60", etag='"v"')
    part = await plain.get(range="bytes=2-4")
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    assert (await plain.get(range="bytes=8-", if_range='"v"')).content == b"89"
    assert (await plain.get(range="bytes=8-", if_range='"w"')).content == b"0123456789"
    assert (await plain.get(range="bytes=0-1,3-4")).status_code == 200
    beyond = await plain.get(range="bytes=10-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */10")
    assert len(plain.origin.seen) == 1 and "range" not in plain.origin.seen[0].headers


async def test_head_is_get_without_content(plain: Plain) -> None:
    plain.origin.say(b"0123456789", cache_control="max-age=60", etag='"v"')
    before = await plain.ask("HEAD")
    assert (before.headers["content-length"], plain.origin.seen[-1].method) == ("10", "HEAD")
    got = await plain.get()
    head = await plain.ask("HEAD", headers={"range": "bytes=0-1"})
    own = {"server-timing", "cache-status", "age"}
    assert {n: v for n, v in head.headers.items() if n not in own} == {
        n: v for n, v in got.headers.items() if n not in own
    }
    assert head.content == b"" and len(plain.origin.seen) == 2


async def test_stale_is_served_while_it_is_revalidated(plain: Plain) -> None:
    plain.origin.say(b"old", cache_control="max-age=10, stale-while-revalidate=30")
    await plain.get()
    plain.world.later_s = 20
    plain.origin.say(b"new", cache_control="max-age=100")
    stale = await plain.get()
    assert stale.content == b"old" and 'detail="stale:origin"' in status(stale)
    until = time.monotonic() + 5
    while (await plain.get()).content != b"new":
        assert time.monotonic() < until
    assert len(plain.origin.seen) == 2


@pytest.mark.parametrize("said", ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"])
async def test_what_must_be_revalidated_is_an_error_without_the_origin(
    plain: Plain, said: str
) -> None:
    plain.origin.say(b"old", cache_control=f"max-age=10, stale-if-error=99, {said}", etag='"v"')
    await plain.get()
    plain.world.later_s = 20
    plain.origin.kill()
    assert (await plain.get()).status_code == 504


async def test_stale_stands_in_for_an_error(plain: Plain) -> None:
    plain.origin.say(b"old", cache_control="max-age=10, stale-if-error=99")
    await plain.get()
    plain.world.later_s = 20
    plain.origin.say(b"sorry", 503)
    assert (await plain.get()).content == b"old"
    plain.world.later_s = 200
    assert (await plain.get()).status_code == 503


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"authorization": "x"}, {"cache_control": "max-age=60"}),
        ({"cookie": "a=b"}, {"cache_control": "max-age=60"}),
        ({}, {"cache_control": "max-age=60", "set_cookie": "a=b"}),
        ({}, {"cache_control": "max-age=60, private"}),
        ({"cache-control": "no-store"}, {"cache_control": "max-age=60"}),
    ],
)
async def test_what_is_for_one_client_is_not_kept(
    plain: Plain, sent: dict[str, str], said: dict[str, str]
) -> None:
    plain.origin.say(b"mine", 200, **said)
    await plain.ask("GET", headers=sent)
    assert "; hit;" not in status(await plain.get())


async def test_a_field_for_one_client_reaches_that_one_only(plain: Plain) -> None:
    plain.origin.say(cache_control='max-age=60, private="x-own"', x_own="1", x_all="2")
    plain.origin.hung = True
    asking = [asyncio.create_task(plain.get()) for _ in range(3)]
    await asyncio.sleep(0.2)
    plain.origin.hung = False
    answers = [await answer for answer in asking] + [await plain.get()]
    assert [answer.headers.get("x-own") for answer in answers].count("1") == 1
    assert all(answer.headers["x-all"] == "2" for answer in answers)
    assert len(plain.origin.seen) == 1


async def test_a_kept_answer_is_for_clients_with_cookies_too(plain: Plain) -> None:
    plain.origin.say(b"all", cache_control="max-age=60")
    await plain.get()
    assert "; hit;" in status(await plain.get(cookie="a=b"))


async def test_only_if_cached_never_asks_the_origin(plain: Plain) -> None:
    answer = await plain.get(cache_control="only-if-cached")
    assert answer.status_code == 504 and plain.origin.seen == []


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


async def test_waiters_share_what_they_select_only(plain: Plain) -> None:
    plain.origin.make = lambda request: Response(
        request.headers["x-who"], headers={"cache-control": "max-age=60", "vary": "X-Who"}
    )
    plain.origin.hung = True
    names = ["a", "b", "a", "b", "a"]
    asking = [asyncio.create_task(plain.get(x_who=name)) for name in names]
    await asyncio.sleep(0.2)
    plain.origin.hung = False
    assert [(await answer).text for answer in asking] == names


async def test_expires_counts_where_nothing_else_does(plain: Plain) -> None:
    now = time.time()
    plain.origin.say(expires=formatdate(now + 60, usegmt=True))
    await plain.get()
    assert "; hit;" in status(await plain.get())
