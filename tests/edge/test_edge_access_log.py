"""The access log: one JSON object per answer, whichever way it took."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edge.access_log import About, AccessLog
from kvsync.errors import InputError
from tests.edge.world import World

ABOUT = About("GET", "a", "/x", 200, 5, "rumba", "hit").encoded()
LINE = (1.5, b"::1", 0.2, ABOUT)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_every_answer_is_a_line(still_world: World, tmp_path: Path) -> None:
    path = tmp_path / "log" / "access.json"
    await still_world.start_edge(access_log=str(path))
    await still_world.publish("/a.jpg")
    await still_world.get("/a.jpg?w=300", user_agent="browser", x_request_id="one")
    await still_world.get("/a.jpg?w=300", user_agent="browser", x_request_id="two")
    await still_world.get("/none.jpg")
    await still_world.client.post("/a.jpg")
    await still_world.stop_edge()
    made, hit, gone, refused = lines(path)
    assert (made["outcome"], hit["outcome"]) == ("rehydrated", "hit")
    assert (made["request_id"], hit["request_id"]) == ("one", "two")
    for one in (made, hit):
        assert one["target"] == "/a.jpg?w=300" and one["agent"] == "browser"
        assert one["status"] == 200 and one["bytes"] == len(b"generated jpeg/384/92")
        assert one["client"] == "127.0.0.1" and one["property"] == "rumba" and one["ms"] > 0
    assert gone["status"] == 404 and gone["reason"] == "no-record"
    assert refused["status"] == 405 and refused["outcome"] == "error"


async def test_lines_go_out_within_a_second_or_so(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a"))
    log.note(*LINE)
    assert lines(tmp_path / "a") == []
    for _ in range(3_000):
        await asyncio.sleep(0.01)
        if lines(tmp_path / "a"):
            break
    assert lines(tmp_path / "a")[0]["target"] == "/x"
    log.close()


async def test_a_file_that_was_moved_is_begun_again(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a"))
    log.note(*LINE)
    log.flush()
    (tmp_path / "a").rename(tmp_path / "a.1")
    log.note(*LINE)
    log.close()
    assert len(lines(tmp_path / "a")) == len(lines(tmp_path / "a.1")) == 1


async def test_what_cannot_be_written_is_counted_and_forgotten(tmp_path: Path) -> None:
    log = AccessLog("/dev/full")
    log.note(*LINE)
    log.flush()
    assert log.lost == 1
    log.close()


async def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(tmp_path / "pipe"))
    for _ in range(5_000):
        log.note(*LINE)
    log.close()
    assert log.lost > 0
    os.close(reader)


def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="EDGE_ACCESS_LOG"):
        AccessLog(str(tmp_path))


async def test_without_a_name_nothing_is_kept() -> None:
    log = AccessLog("")
    log.note(*LINE)
    log.close()
    assert log.lost == 0
