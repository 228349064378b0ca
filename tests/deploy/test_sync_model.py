"""Any interleaving of what can happen to origin and regions ends with every region as published.

Nowhere, at no time, can a revoked record be read past the property's bound.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from deploy.layout import REGIONS
from tests.deploy.sync_regions import Regions, key_of

T = TypeVar("T")

ASSETS = 12
some_keys = st.lists(st.integers(0, ASSETS - 1).map(key_of), min_size=1, max_size=6, unique=True)
a_region = st.sampled_from(REGIONS[:3])


class Interleavings(RuleBasedStateMachine):
    servers: list[str]
    folder: Path
    numbers: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        origins, *regions = self.servers
        self.world = Regions(self.folder / str(next(self.numbers)), origins, regions)

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    @initialize()
    def begin(self) -> None:
        async def start() -> None:
            self.world.add_regions()
            await self.world.start_origin()
            for name in self.world.regions:
                self.world.start(name)

        self.run(start())

    @rule(keys=some_keys)
    def publish(self, keys: list[bytes]) -> None:
        self.world.publish(keys)

    @rule(keys=some_keys, name=a_region)
    def publish_in_one_region(self, keys: list[bytes], name: str) -> None:
        self.world.publish(keys, [name])

    @rule(keys=some_keys)
    def revoke(self, keys: list[bytes]) -> None:
        self.world.revoke(keys)

    @rule(ms=st.integers(0, 60))
    def time_passes(self, ms: int) -> None:
        self.run(asyncio.sleep(ms / 1_000))

    @rule(seconds=st.sampled_from([5, 20, 40]))
    def much_time_passes(self, seconds: int) -> None:
        self.world.ahead_s += seconds

    @rule(name=a_region)
    def cut(self, name: str) -> None:
        self.world.regions[name].wire.cut()

    @rule(name=a_region)
    def mend(self, name: str) -> None:
        self.world.regions[name].wire.heal()

    @rule(name=a_region)
    def crash(self, name: str) -> None:
        self.run(self.world.kill(name))

    @rule(name=a_region)
    def restart(self, name: str) -> None:
        async def start() -> None:
            self.world.start(name)

        self.run(start())

    @rule(begun_again=st.booleans())
    def crash_origin(self, begun_again: bool) -> None:
        self.run(self.world.kill_origin())
        if begun_again:
            self.run(self.world.start_origin())

    @rule()
    def snapshot(self) -> None:
        self.world.make_snapshot()

    @rule()
    def lose_streams(self) -> None:
        self.world.lose_streams()

    @invariant()
    def nothing_revoked_is_read_past_the_bound(self) -> None:
        for (name, key), revoked_at in self.world.revoked_at.items():
            if self.world.now > revoked_at + self.world.site.goes_on_s:
                assert self.run(self.world.read(name, key)) is None, (name, key)

    def teardown(self) -> None:
        try:
            if self.world.regions:
                self.run(self.settled_as_published())
        finally:
            self.run(self.world.close())
            self.runner.close()

    async def settled_as_published(self) -> None:
        await self.world.settle()
        for name in self.world.regions:
            published = self.world.published(name)
            assert await self.world.held(name) == published, name
            assert await self.world.differing(name) == 0, name
            for key, (signed, buried) in published.items():
                found = await self.world.read(name, key)
                assert (found and found.signed) == (None if buried else signed), name


def machine(own_servers: list[str], own_folder: Path) -> type[RuleBasedStateMachine]:
    """A state machine whose worlds live in folders below ``own_folder``."""

    class Here(Interleavings):
        servers = own_servers
        folder = own_folder
        numbers = count()

    return Here


@pytest.mark.slow
def test_every_interleaving_ends_as_published(servers: list[str], tmp_path: Path) -> None:
    run_state_machine_as_test(
        machine(servers, tmp_path),
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            # A step takes real time, and a failure rarely comes of the same interleaving twice.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
