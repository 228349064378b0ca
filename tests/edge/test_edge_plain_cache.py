"""What a plain cache in front of any origin keeps, validates, cuts and shares."""

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tests.edge.plain_world import Plain, plain_edge, status
from tests.edge.world import World


@pytest.fixture
async def plain(still_world: World, tmp_path: Path) -> AsyncIterator[Plain]:
    async with plain_edge(still_world, tmp_path / "plain") as plain:
        yield plain


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


async def test_a_304_to_no_condition_is_the_origin_s_fault(plain: Plain) -> None:
    plain.origin.say(b"", 304)
    assert (await plain.get(if_none_match='"x"')).status_code == 504


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
    until = time.monotonic() + 60
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


async def test_waiters_share_no_stale_answer_that_they_do_not_select(plain: Plain) -> None:
    said = {"cache-control": "max-age=10, stale-if-error=99", "vary": "X-Who"}
    plain.origin.make = lambda request: Response(request.headers["x-who"], headers=said)
    for name in ("a", "b"):
        await plain.get(x_who=name)
    plain.world.later_s = 20
    plain.origin.make = lambda request: Response("sorry", 503)
    plain.origin.hung = True
    asking = [asyncio.create_task(plain.get(x_who=name)) for name in "abab"]
    await asyncio.sleep(0.2)
    plain.origin.hung = False
    assert [(await answer).text for answer in asking] == [*"abab"]


async def test_who_has_something_stale_does_not_fail_with_a_leader_that_has_nothing(
    plain: Plain,
) -> None:
    said = {"cache-control": "max-age=10, stale-if-error=99", "vary": "X-Who"}
    plain.origin.make = lambda request: Response(request.headers["x-who"], headers=said)
    await plain.get(x_who="a")
    plain.world.later_s = 20
    plain.origin.hung = True
    leader = asyncio.create_task(plain.get(x_who="new"))
    while len(plain.origin.seen) < 2:
        await asyncio.sleep(0.01)
    stale = await plain.get(x_who="a")
    assert (stale.status_code, stale.text) == (200, "a")
    assert (await leader).status_code == 504


async def test_expires_counts_where_nothing_else_does(plain: Plain) -> None:
    now = time.time()
    plain.origin.say(expires=formatdate(now + 60, usegmt=True))
    await plain.get()
    assert "; hit;" in status(await plain.get())
