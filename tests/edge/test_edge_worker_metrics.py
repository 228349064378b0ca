"""Metrics of several workers: what any of them tells is what all of them have counted."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from edge.counters import Counters
from edge.worker_metrics import Family, Sample, WorkerMetrics, begin_anew, merged
from tests.edge.test_edge_workers import Pop
from tests.edge.world import HOST


def value(text: str, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_counts_are_summed_and_of_gauges_the_largest_counts() -> None:
    def told(count: float, state: float) -> list[Family]:
        return [
            Family("answers", "", "counter", [Sample("answers_total", {"a": "b"}, count)]),
            Family("state", "", "gauge", [Sample("state", {}, state)]),
        ]

    answers, state = merged([told(2, 0), told(3, 2), told(0, 1)])
    assert answers.samples[0].value == 5 and answers.samples[0].labels == {"a": "b"}
    assert state.samples[0].value == 2


def test_histograms_of_workers_add_up(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    seconds = Histogram("s", "", buckets=(1, 2), registry=registry)
    other = WorkerMetrics(tmp_path, registry)
    for took in (0.5, 1.5, 9):
        seconds.observe(took)
    other.publish()
    (tmp_path / str(os.getpid())).rename(tmp_path / "1")  # as if it were another process
    own = WorkerMetrics(tmp_path, registry)
    text = own.exposition().decode()
    assert value(text, "s_count") == 6 and value(text, "s_sum") == 22
    assert value(text, "s_bucket", le="1.0") == 2 and value(text, "s_bucket", le="+Inf") == 6


def test_a_torn_or_empty_file_is_left_out(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Counter("c", "", registry=registry).inc(7)
    Gauge("g", "", registry=registry).set(1)
    own = WorkerMetrics(tmp_path, registry)
    (tmp_path / "1").write_bytes(b"")
    (tmp_path / "2").write_bytes(b"\0" * 100)
    (tmp_path / "3").write_bytes(b"\0\0\0\x05\x12\x34\x56\x78hello")
    assert value(own.exposition().decode(), "c_total") == 7


async def test_an_earlier_run_is_forgotten(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        begin_anew(tmp_path / "metrics")
        counters = Counters()
        sharing = asyncio.create_task(counters.share(tmp_path / "metrics"))
        await asyncio.sleep(0)
        told.append(value(counters.exposition().decode(), "edge_purged_total"))
        counters.purged(3)
        sharing.cancel()
        counters.close()
    assert told == [0, 0]


async def test_a_worker_with_no_room_for_its_file_tells_its_own(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("not a folder")
    counters = Counters()
    sharing = asyncio.create_task(counters.share(tmp_path / "metrics"))
    await asyncio.sleep(0)
    counters.purged(3)
    assert value(counters.exposition().decode(), "edge_purged_total") == 3
    assert not sharing.done()  # it tries again, for the disk may have room later
    sharing.cancel()


@pytest.fixture
async def pop(tmp_path: Path) -> AsyncIterator[Pop]:
    pop = Pop(tmp_path)
    await pop.start()
    yield pop
    await pop.stop()


async def test_a_scrape_counts_what_every_worker_answered_also_a_killed_one(pop: Pop) -> None:
    for number in range(40):
        await pop.get(f"/{number}.jpg")
    before = await settled(pop)
    assert before >= 40
    os.kill(pop.workers[0], signal.SIGKILL)
    for number in range(10):
        await pop.get(f"/{number}.jpg")
    assert await settled(pop) == before + 10


async def settled(pop: Pop) -> float:
    """Answers that all workers have counted: they tell one another every second."""
    counted: list[float] = []
    while len(counted) < 4 or len(set(counted[-4:])) > 1:
        async with httpx2.AsyncClient(base_url=f"http://{HOST}:{pop.admin_port}") as client:
            counted.append(value((await client.get("/metrics")).text, "edge_answers_total"))
        await asyncio.sleep(0.5)
    return counted[-1]
