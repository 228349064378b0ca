"""Serving at speed: batches across requests, encoding beside generation, families side by side."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.errors import RehydrationError
from kvsync.record import PromptRecipe, RecordBody
from kvsync.rendition import Still
from regional_gpu.generator.encode import Encoded, encode
from regional_gpu.generator.load import Generator
from regional_gpu.service import region
from tests.regional_gpu.region_world import Painter, Pixels, RegionWorld, region_world


@dataclass
class Loaded:
    """What the loader gives for one model."""

    digest: bytes
    size_bytes: int = 1_000

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        return Painter().masks(prompt)


@dataclass
class Studio(Painter):
    """A painter of several models: remembers loads and batches, and can hold up a load."""

    loads: list[bytes] = field(default_factory=list)
    batches: list[list[PromptRecipe]] = field(default_factory=list)
    may_load: threading.Event = field(default_factory=threading.Event)

    def load(self, folder: Path, digest: bytes, device: str) -> Generator:
        assert not self.loads or self.may_load.wait(5)
        self.loads.append(digest)
        return cast(Generator, Loaded(digest))

    def generate(
        self, generator: Generator, recipes: Sequence[PromptRecipe]
    ) -> list[Pixels | RehydrationError]:
        self.batches.append(list(recipes))
        assert {recipe.model for recipe in recipes} == {generator.digest}
        return super().generate(generator, recipes)


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
async def world(tmp_path: Path, studio: Studio) -> AsyncIterator[RegionWorld]:
    async with region_world(tmp_path, painter=studio) as running:
        yield running


def second_family(world: RegionWorld, folder: Path) -> RecordBody:
    """A record of another model, which the origin offers too."""
    other = folder / "other"
    other.mkdir()
    (other / "weights.safetensors").write_bytes(b"other weights")
    record = world.record("green hat")
    recipe = msgspec.structs.replace(record.recipe, model=world.origin.offer(other, world.key))
    return msgspec.structs.replace(record, recipe=recipe)


async def painted(studio: Painter, prompt: str) -> None:
    async with asyncio.timeout(5):
        while prompt not in studio.painted:
            await asyncio.sleep(0.002)


async def test_requests_of_one_model_and_size_share_batches(
    world: RegionWorld, studio: Studio
) -> None:
    first, *others = [world.record(f"laces {at}") for at in range(7)]
    await world.ask(first)
    studio.go.clear()
    waiting = [asyncio.create_task(world.ask(one, deadline_ms=60_000)) for one in others]
    async with asyncio.timeout(5):
        while await world.metric("region_queue_pictures") < 6:
            await asyncio.sleep(0.002)
    studio.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert len(studio.batches) <= 3 and max(map(len, studio.batches)) >= 4


async def test_another_size_is_another_batch(world: RegionWorld, studio: Studio) -> None:
    small = world.record("small")
    recipe = msgspec.structs.replace(small.recipe, width=384, height=384)
    small = msgspec.structs.replace(small, recipe=recipe)
    await asyncio.gather(world.ask(world.record("large")), world.ask(small))
    assert all(len({(one.width, one.height) for one in batch}) == 1 for batch in studio.batches)


async def test_the_next_picture_is_generated_while_one_is_encoded(
    world: RegionWorld, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding, may_end = threading.Event(), threading.Event()

    def slow(pixels: Pixels, still: Still) -> Encoded:
        encoding.set()
        assert may_end.wait(5)
        return encode(pixels, still)

    monkeypatch.setattr(region, "encode", slow)
    records = [world.record("first"), world.record("second")]
    first = asyncio.create_task(world.ask(records[0], deadline_ms=60_000))
    assert await asyncio.to_thread(encoding.wait, 5)
    second = asyncio.create_task(world.ask(records[1], deadline_ms=60_000))
    await painted(studio, "second")
    assert not first.done()
    may_end.set()
    assert (await first).status_code == (await second).status_code == 200


async def test_one_family_is_served_while_another_is_loaded(
    world: RegionWorld, studio: Studio, tmp_path: Path
) -> None:
    assert (await world.ask(world.record("first"))).status_code == 200
    other = asyncio.create_task(world.ask(second_family(world, tmp_path)))
    await asyncio.sleep(0.05)
    assert (await world.ask(world.record("second"))).status_code == 200 and not other.done()
    studio.may_load.set()
    assert (await other).status_code == 200


async def test_families_take_turns_without_being_loaded_again(
    world: RegionWorld, studio: Studio, tmp_path: Path
) -> None:
    studio.may_load.set()
    other = second_family(world, tmp_path)
    for turn in range(4):
        assert (await world.ask(world.record(f"laces {turn}"))).status_code == 200
        await world.client.post("/v1/purge", content=b'{"everything": true}')
        answer = await world.ask(other)
        assert answer.status_code == 200 and answer.headers["rendition-cache"] == "miss"
    assert len(studio.loads) == 2


async def test_an_answer_tells_what_each_stage_took(world: RegionWorld) -> None:
    timing = (await world.ask()).headers["server-timing"]
    stages = dict(part.split(";dur=") for part in timing.split(", "))
    assert list(stages) == ["queue", "generate", "check", "encode", "device"]
    assert all(float(took) >= 0 for took in stages.values())
