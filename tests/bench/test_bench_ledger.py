"""What the ledger is held to: a relay that counts bytes, and what answers say of themselves."""

import asyncio
import json
import sys
from collections import Counter

import httpx2
import pytest

from bench._counting_relay import Counts, relay
from bench._ledger_system import RELAY
from bench._shoppers import Seen, Shot
from bench.ledger import Line, Observed, Told, miscounted, outcome_of, overcounted
from deploy.layout import HOST, free_ports
from kvsync.rendition import Still

SHOT = Shot("/a.jpg", "w=384", Still("jpeg", 384, 91))


def seen(cache_status: str, status: int = 200) -> Seen:
    return Seen(SHOT, 0.0, 1.0, status, {"cache-status": cache_status})


@pytest.mark.parametrize(
    ("said", "status", "outcome"),
    [
        ("edge-1; hit; ttl=5; detail=rehydrated", 200, "hit"),
        ('edge-1; hit; ttl=-1; detail="stale:origin"', 200, "stale"),
        ("edge-1; fwd=uri-miss; stored; detail=rehydrated", 200, "rehydrated"),
        ('edge-1; fwd=uri-miss; detail="origin:no-record"', 200, "origin"),
        ('edge-1; fwd=uri-miss; fwd-status=404; detail="origin:no-record"', 404, "origin"),
        ('edge-1; detail="error:busy"', 503, "error"),
    ],
)
def test_an_answer_says_what_it_is_in_the_ledger(said: str, status: int, outcome: str) -> None:
    assert outcome_of(seen(said, status)) == outcome


def told(**answers: int) -> Told:
    return Told(Counter(answers), {}, 0, {}, 0.0)


def test_an_answer_told_as_another_counts_twice_and_one_untold_once() -> None:
    observed = Observed(Counter(hit=9, origin=1))
    assert miscounted(observed, told(hit=9, origin=1)) == 0
    assert miscounted(observed, told(hit=10)) == 0.2
    assert miscounted(observed, told(hit=8, origin=1)) == 0.1


def test_what_nobody_can_have_got_is_overcounted() -> None:
    observed = Observed(Counter(hit=10), broken=1)
    assert overcounted(observed, told(hit=11)) == 0
    assert overcounted(observed, told(hit=12)) == 0.1


def test_a_difference_above_the_truth_is_positive() -> None:
    assert Line("", 100, 101, "bytes").error == 0.01
    assert Line("", 100, 99, "bytes").error == -0.01


async def test_a_relay_counts_what_went_each_way() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper() * 3)
        writer.close()

    shouting = await asyncio.start_server(shout, HOST, 0)
    (port,) = free_ports(1)
    counts: Counts = {}
    relaying = await relay(f"loud={port}:{HOST}:{shouting.sockets[0].getsockname()[1]}", counts)
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"HELLOHELLOHELLO"
    assert counts == {"loud": {"out": 5, "back": 15}}
    writer.close()
    for server in (relaying, shouting):
        server.close()


async def test_a_relay_knows_nothing_of_the_system() -> None:
    """It runs by its path, where none of ours can be imported."""
    own, counts_port = free_ports(2)
    words = ("--route", f"a={own}:{HOST}:9", "--counts-port", str(counts_port))
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", str(RELAY), *words)
    try:
        async with asyncio.timeout(30), httpx2.AsyncClient() as client:
            while True:
                try:
                    answer = await client.get(f"http://{HOST}:{counts_port}/")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
        assert json.loads(answer.content) == {"a": {"out": 0, "back": 0}}
    finally:
        process.kill()
        await process.wait()
