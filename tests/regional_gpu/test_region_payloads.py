"""Payloads that records only name: fetched, checked, kept on disk, given on, dropped."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from httpx2 import AsyncClient

from kvsync.errors import ModelError, OriginUnavailable, RehydrationError
from kvsync.record import KeptPayload, PromptRecipe, RecordBody
from kvsync.wire import (
    MAX_PAYLOADS_AT_ONCE,
    MODELS_PATH,
    PAYLOADS_PATH,
    Hold,
    PayloadList,
    PayloadsHeld,
)
from regional_gpu.generator.load import Generator
from regional_gpu.service.metrics import RegionMetrics
from regional_gpu.service.payloads import PayloadPlace, Payloads
from tests.regional_gpu.region_world import Painter, Pixels, RegionWorld, reason, region_world

LARGE = b"pose" * 1_000
NAME = KeptPayload.of(LARGE)


@dataclass
class Fitter(Painter):
    """A painter that remembers the payloads of what it painted."""

    payloads: list[bytes] = field(default_factory=list)

    def generate(
        self, generator: Generator, recipes: Sequence[PromptRecipe]
    ) -> list[Pixels | RehydrationError]:
        self.payloads += [recipe.carried for recipe in recipes]
        return super().generate(generator, recipes)


@asynccontextmanager
async def fitting(folder: Path, offered: bytes = LARGE) -> AsyncIterator[RegionWorld]:
    """A region whose origin offers a payload under the name of :data:`LARGE`."""
    async with region_world(folder, painter=Fitter()) as world:
        world.origin.bodies[path_of(NAME)] = offered
        yield world


def path_of(payload: KeptPayload) -> str:
    return f"{PAYLOADS_PATH}/rumba/{payload.digest.hex()}"


def naming(world: RegionWorld, prompt: str = "red laces") -> RecordBody:
    body = world.record(prompt)
    recipe = body.recipe.with_payload(LARGE).as_signed()
    return msgspec.structs.replace(body, recipe=recipe)


def on_disk(world: RegionWorld) -> list[str]:
    return [one.name for one in world.settings.payloads_dir.glob("*/*")]


def painted(world: RegionWorld) -> list[bytes]:
    assert isinstance(world.painter, Fitter)
    return world.painter.payloads


async def change(world: RegionWorld, asked: PayloadList) -> dict[str, str]:
    answer = await world.client.post(f"{PAYLOADS_PATH}/rumba", content=asked.encode())
    return PayloadsHeld.decode(answer.content).missing


async def test_a_picture_is_generated_from_the_payload_that_its_record_names(
    tmp_path: Path,
) -> None:
    async with fitting(tmp_path) as world:
        answer = await world.ask(naming(world))
        assert answer.status_code == 200, answer.text
        assert painted(world) == [LARGE] and on_disk(world) == [NAME.digest.hex()]
        assert await world.metric("region_payload_download_bytes_total") == len(LARGE)
        assert await world.metric("region_payloads_held_bytes") == len(LARGE)
    async with fitting(tmp_path) as world:
        assert await world.metric("region_payloads_held_bytes") == len(LARGE)


async def test_a_payload_that_is_held_is_not_fetched_again(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world:
        assert await change(world, PayloadList((NAME,))) == {}
        world.origin.bodies.clear()
        assert await change(world, PayloadList((NAME,))) == {}
        assert world.origin.asked[path_of(NAME)] == 1


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        (LARGE[:-1] + b"x", "not the one that was signed"),
        (LARGE[:-1], "not the one that was signed"),
        (LARGE + b"more", "is longer than"),
    ],
)
async def test_what_is_not_the_payload_that_was_signed_is_not_taken(
    tmp_path: Path, offered: bytes, says: str
) -> None:
    async with fitting(tmp_path, offered) as world:
        answer = await world.ask(naming(world))
        assert reason(answer) == (502, "model") and says in answer.text
        assert says in (await change(world, PayloadList((NAME,))))[NAME.digest.hex()]
        assert painted(world) == [] and on_disk(world) == []


async def test_what_cannot_be_brought_is_named_and_the_rest_is_held(tmp_path: Path) -> None:
    other = KeptPayload.of(b"other" * 1_000)
    async with fitting(tmp_path) as world:
        missing = await change(world, PayloadList((other, NAME)))
        assert list(missing) == [other.digest.hex()] and "not there" in missing[other.digest.hex()]
        assert on_disk(world) == [NAME.digest.hex()]


async def test_a_damaged_payload_is_fetched_again(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world:
        await change(world, PayloadList((NAME,)))
        (file,) = world.settings.payloads_dir.glob("*/*")
        file.write_bytes(b"x" * len(LARGE))
        assert reason(await world.ask(naming(world))) == (404, "model")
        assert (await world.ask(naming(world))).status_code == 200
        assert file.read_bytes() == LARGE


async def test_a_model_is_calibrated_by_records_that_name_payloads(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world:
        body = naming(world)
        sample = Hold(((body.key, body.sign(world.key)),)).encode()
        answer = await world.client.post(f"{MODELS_PATH}/rumba/{world.model.hex()}", content=sample)
        assert "calibrated: 1 records" in answer.text and painted(world) == [LARGE]


async def test_what_is_held_is_told_and_dropped(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world:
        await change(world, PayloadList((NAME,)))
        where = f"{PAYLOADS_PATH}/rumba"
        held = PayloadList.decode((await world.client.get(where)).content)
        assert held.hold == (NAME,)
        assert (await world.client.get(path_of(NAME))).content == LARGE
        await change(world, PayloadList(drop=(NAME.digest, bytes(32))))
        assert on_disk(world) == [] and await world.metric("region_payloads_held_bytes") == 0
        assert (await world.client.get(path_of(NAME))).status_code == 404


async def test_other_properties_and_too_many_at_once_are_refused(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world:
        for path in ("/v1/payloads/unserved", "/v1/payloads/..%2frumba"):
            assert (await world.client.get(path)).status_code in (400, 404)
        many = PayloadList(drop=(bytes(32),) * (MAX_PAYLOADS_AT_ONCE + 1))
        for body in (many.encode(), b"no list"):
            answer = await world.client.post(f"{PAYLOADS_PATH}/rumba", content=body)
            assert reason(answer) == (400, "bad-request")


async def test_another_region_passes_a_payload_on(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world, AsyncClient(base_url="http://127.0.0.1:9") as nobody:
        place = PayloadPlace((nobody, world.client), tmp_path / "other", 1 << 20)
        payloads = Payloads(place, RegionMetrics())
        named = naming(world).recipe
        with pytest.raises(OriginUnavailable):
            await payloads.filled("rumba", named)
        await change(world, PayloadList((NAME,)))
        assert (await payloads.filled("rumba", named)).carried == LARGE


async def test_more_than_the_disk_may_hold_is_refused(tmp_path: Path) -> None:
    async with fitting(tmp_path) as world, AsyncClient(base_url=world.origin.url) as origin:
        place = PayloadPlace((origin,), tmp_path / "small", len(LARGE) - 1)
        payloads = Payloads(place, RegionMetrics())
        with pytest.raises(ModelError, match="REGION_PAYLOADS_DISK_BYTES"):
            await payloads.filled("rumba", naming(world).recipe)
        assert payloads.held("rumba") == ()
