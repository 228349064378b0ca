"""Hits that are answered ahead of the application: known requests, slow readers, bounded memory."""

import asyncio
import copy
import re
import socket
import tracemalloc
from collections.abc import Callable

import pytest

from edge.ask import Ask, read_ask
from edge.decide import Outcome
from edge.known import Known, KnownRequests, Said, said
from edge.respond import Answer
from edge.rules.stored import Cached, Stored
from edge.tally import Tally
from kvsync.conditional import entity_tag
from kvsync.property import read_property
from tests.edge.world import HOST, PROPERTY_FILE, World

MIB = 1 << 20
ASKED = b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
_SITE = read_property(PROPERTY_FILE)


async def answered(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one answer."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    length = re.search(rb"content-length: (\d+)", head)
    return head, await reader.readexactly(int(length[1])) if length else b""


async def test_what_is_purged_is_no_hit_for_a_known_request(world: World) -> None:
    await world.publish("/a.jpg")
    reader, writer = await asyncio.open_connection(HOST, world.port)
    for expected in (b"fwd=uri-miss", b"; hit", b"; hit"):
        writer.write(ASKED)
        assert expected in (await answered(reader))[0]
    await world.admin.post("/v1/purge", json={"everything": True})
    writer.write(ASKED)
    assert b"fwd=uri-miss" in (await answered(reader))[0]
    writer.close()


async def test_age_and_time_to_live_of_a_known_request_go_on(world: World) -> None:
    await world.publish("/a.jpg")
    reader, writer = await asyncio.open_connection(HOST, world.port)
    for _ in range(3):
        writer.write(ASKED)
        await answered(reader)
    world.later_s = 100
    writer.write(ASKED)
    age = re.search(rb"age: (\d+)", (await answered(reader))[0])
    assert age is not None and int(age[1]) >= 100
    writer.close()


async def test_a_known_request_in_pieces_or_with_another_behind_it_is_read(world: World) -> None:
    await world.publish("/a.jpg")
    reader, writer = await asyncio.open_connection(HOST, world.port)
    for sent in (ASKED, ASKED, ASKED):
        writer.write(sent)
        await answered(reader)
    other = ASKED.replace(b"/a.jpg", b"/none.jpg")
    writer.write(ASKED + other + ASKED[:20])
    assert b" 200 " in (await answered(reader))[0]
    assert b" 404 " in (await answered(reader))[0]
    await asyncio.sleep(0.05)
    writer.write(ASKED[20:])
    assert b"; hit" in (await answered(reader))[0]
    # In the middle of a request the same bytes are no request but a field of it.
    writer.write(ASKED[:-2])
    await asyncio.sleep(0.05)
    writer.write(ASKED)
    assert b" 400 " in (await answered(reader))[0]
    writer.close()


async def test_a_client_that_reads_slowly_gets_every_byte_of_a_hit(world: World) -> None:
    body = bytes(range(256)) * 384
    world.origin.bodies["/a.jpg"] = body
    narrow = socket.create_connection((HOST, world.port))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
    reader, writer = await asyncio.open_connection(sock=narrow)
    writer.write(ASKED)
    assert (await answered(reader))[1] == body
    for _ in range(100):
        writer.write(ASKED)
        await asyncio.sleep(0.001)
    for _ in range(100):
        head, got = await answered(reader)
        assert b"; hit" in head and got == body
    writer.close()


def asked(fields: int, length: int) -> tuple[bytes, Ask]:
    """A request with so many fields of so many bytes, and how it is read."""
    headers = [(b"host", b"localhost"), (b"accept", b"image/webp")]
    headers += [(b"x-%d" % number, b"v" * length) for number in range(fields)]
    raw = b"GET /a.jpg HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return raw + b"\r\n", read_ask("GET", b"/a.jpg", headers, {"localhost": _SITE})


def told(known: Known, head_bytes: int) -> Said:
    stored = Stored(200, b"h" * head_bytes, "origin", "", 0.0, 1e9, 0.0, 0.0, 5)
    outcome: Outcome = "hit"
    answer = Answer(200, b"h" * head_bytes, b"12345", outcome, "")
    return said(known, answer, stored, 1.0, Tally())


@pytest.mark.parametrize(("fields", "length"), [(10, 40), (300, 1), (2, 4000)])
@pytest.mark.parametrize("head_bytes", [600, 8000])
def test_known_requests_are_bounded_in_bytes(fields: int, length: int, head_bytes: int) -> None:
    tracemalloc.start()
    requests = KnownRequests(MIB // 2)
    for number in range(200):
        raw, ask = asked(fields, length)
        known = Known(ask, b"/a.jpg")
        known.keep(told(known, head_bytes))
        requests.put(b"%d %b" % (number, raw), known)
    del known, ask, raw
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < len(requests) < 200
    assert used < MIB // 2 + 16 * 1024


def test_what_was_said_holds_for_the_very_response_and_for_its_second_only() -> None:
    _, ask = asked(3, 10)
    stored = Stored(200, b"", "origin", "", 0.25, 99.75, 0.0, 0.0, 5)
    answer = Answer(200, b"", b"12345", "hit", "")
    last = said(Known(ask, b"/a.jpg"), answer, stored, 1.5, Tally())
    same = Cached(stored, b"12345")
    # Its age turns to 2 at 2.25, its time to live to 97 past 1.75.
    assert last.holds(same, 1.5) and last.holds(same, 1.7)
    assert not last.holds(same, 1.8) and not last.holds(same, 1.4)
    assert not last.holds(Cached(copy.copy(stored), b"12345"), 1.5)


async def test_a_known_request_is_answered_with_what_took_the_old_one_s_place(
    world: World,
) -> None:
    world.origin.bodies["/a.jpg"] = b"old"
    reader, writer = await asyncio.open_connection(HOST, world.port)
    for body in (b"old", b"newer", b"newest one"):
        world.origin.bodies["/a.jpg"] = body
        await world.purge("rumba")
        tags = set()
        for _ in range(3):
            writer.write(ASKED)
            head, got = await answered(reader)
            tags |= set(re.findall(rb"etag: ([^\r]*)", head))
            assert got == body
        assert tags == {entity_tag(body).encode()}
    writer.close()


def test_an_answer_that_grew_is_not_held_beyond_what_was_set_aside() -> None:
    requests = KnownRequests(MIB)
    raw, ask = asked(3, 10)
    known = Known(ask, b"/a.jpg")
    known.keep(told(known, 500))
    requests.put(raw, known)
    known.keep(told(known, 7_000))
    assert known.said is None
    known.keep(told(known, 510))
    assert known.said is not None and requests.get(raw) is known


def test_requests_that_are_asked_again_are_kept_and_others_leave() -> None:
    requests = KnownRequests(MIB)
    make: Callable[[int], bytes] = lambda number: b"%d" % number  # noqa: E731
    _, ask = asked(3, 10)
    for number in range(1_000):
        requests.put(make(number), Known(ask, b"/a.jpg"))
        requests.get(make(0))
    assert requests.get(make(0)) is not None and requests.get(make(1)) is None
    assert requests.get(make(999)) is not None


def test_a_request_as_long_as_no_browser_s_is_not_kept() -> None:
    requests = KnownRequests(MIB)
    raw, ask = asked(1, 10_000)
    requests.put(raw, Known(ask, b"/a.jpg"))
    assert len(requests) == 0
