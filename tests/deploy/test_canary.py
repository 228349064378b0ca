"""What is published in one region first, on the real origin's log and real agents."""

from pathlib import Path

from deploy.layout import REGIONS
from tests.deploy.sync_regions import Regions, key_of, three_regions

FIRST, *OTHERS = REGIONS[:3]
KEY = key_of(1)


async def seqs(world: Regions) -> list[int | None]:
    """Of the record that each region would use, the canary's first."""
    await world.settle()
    found = [await world.read(name, KEY) for name in (FIRST, *OTHERS)]
    return [None if one is None else one.body.seq for one in found]


async def test_one_region_has_it_first_and_then_all(servers: list[str], tmp_path: Path) -> None:
    streams, *stores = servers
    async with three_regions(tmp_path, streams, stores) as world:
        old = world.publish([KEY])
        assert await seqs(world) == [old] * 3
        new = world.publish([KEY], [FIRST])
        assert await seqs(world) == [new, old, old]
        assert [await world.differing(name) for name in (FIRST, *OTHERS)] == [0, 0, 0]
        last = world.publish([KEY])
        assert await seqs(world) == [last] * 3


async def test_one_region_after_the_other_each_keeps_its_own(
    servers: list[str], tmp_path: Path
) -> None:
    streams, *stores = servers
    async with three_regions(tmp_path, streams, stores) as world:
        first, second = world.publish([KEY], [FIRST]), world.publish([KEY], [OTHERS[0]])
        assert await seqs(world) == [first, second, None]
        assert [await world.differing(name) for name in (FIRST, *OTHERS)] == [0, 0, 0]


async def test_revoked_it_is_gone_everywhere(servers: list[str], tmp_path: Path) -> None:
    streams, *stores = servers
    async with three_regions(tmp_path, streams, stores) as world:
        new = world.publish([KEY], [FIRST])
        assert await seqs(world) == [new, None, None]
        world.revoke([KEY])
        assert await seqs(world) == [None, None, None]


async def test_a_region_that_begins_with_a_snapshot_has_it_too(
    servers: list[str], tmp_path: Path
) -> None:
    streams, *stores = servers
    async with three_regions(tmp_path, streams, stores) as world:
        for name in (FIRST, *OTHERS):
            await world.kill(name)
        old, new = world.publish([KEY]), world.publish([KEY], [FIRST])
        world.publish([key_of(number) for number in range(2, 60)])
        world.lose_streams()
        assert await seqs(world) == [new, old, old]
        assert [await world.differing(name) for name in (FIRST, *OTHERS)] == [0, 0, 0]
