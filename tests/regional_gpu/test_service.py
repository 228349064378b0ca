import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from kvsync.rendition import Still
from kvsync.signing import SigningKey
from kvsync.wire import REHYDRATE_PATH, RehydrateRequest
from regional_gpu.generator.encode import PROVENANCE, PROVENANCE_BYTES, decode
from regional_gpu.generator.score import psnr
from tests.regional_gpu.region_world import (
    JPEG,
    RegionWorld,
    forged,
    paint,
    reason,
    region_world,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RegionWorld]:
    async with region_world(tmp_path) as running:
        yield running


async def until(condition: str, world: RegionWorld, value: float) -> None:
    async with asyncio.timeout(10):
        while await world.metric(condition) != value:
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    "still", [Still("jpeg", 768, 92), Still("webp", 768, 95), Still("avif", 768, 85)]
)
async def test_a_record_becomes_the_picture_in_each_format(
    world: RegionWorld, still: Still
) -> None:
    record = world.record()
    response = await world.ask(record, still)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"image/{still.format}"
    assert psnr(paint(record.recipe), decode(response.content)) > 35


async def test_a_narrower_rendition_is_narrower(world: RegionWorld) -> None:
    assert decode((await world.ask(still=JPEG)).content).shape == (256, 256, 3)


async def test_every_picture_says_how_it_was_made(world: RegionWorld) -> None:
    response = await world.ask()
    assert PROVENANCE in response.content
    assert await world.metric("region_provenance_bytes_total") == PROVENANCE_BYTES


async def test_a_miss_names_its_stages_and_a_hit_its_age(world: RegionWorld) -> None:
    miss = await world.ask()
    assert miss.headers["rendition-cache"] == "miss" and miss.headers["age"] == "0"
    stages = [part.split(";dur=")[0] for part in miss.headers["server-timing"].split(", ")]
    assert stages == ["queue", "generate", "check", "encode", "device"]
    await asyncio.sleep(1.01)
    hit = await world.ask()
    assert hit.headers["rendition-cache"] == "hit" and hit.headers["age"] == "1"
    assert hit.content == miss.content and len(world.painter.painted) == 1


async def test_twenty_edges_that_miss_one_image_together_cause_one_generation(
    world: RegionWorld,
) -> None:
    answers = await asyncio.gather(*(world.ask() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert world.painter.painted == ["red laces"]
    assert await world.metric("region_generations_total") == 1


async def test_renditions_in_flight_together_share_one_generation(world: RegionWorld) -> None:
    world.painter.seconds = 0.05
    stills = [Still(form, width, 85) for form in ("jpeg", "webp") for width in (256, 512)]
    answers = await asyncio.gather(*(world.ask(still=still) for still in stills * 3))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 4
    assert world.painter.painted == ["red laces"]


async def test_different_records_share_batches(world: RegionWorld) -> None:
    world.painter.go.clear()
    asked = [asyncio.create_task(world.ask(world.record(f"shade {n}"))) for n in range(12)]
    await until("region_queue_pictures", world, 12)
    world.painter.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    assert await world.metric("region_batch_images_count") <= 4


async def test_what_is_not_the_approved_image_is_neither_served_nor_kept(
    world: RegionWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.painter.slip = 12
    with caplog.at_level(logging.WARNING, "region"):
        assert reason(await world.ask()) == (502, "fingerprint")
    assert world.model.hex()[:8] in caplog.text and "luma" in caplog.text
    label = world.model.hex()[:8]
    assert await world.metric("region_fingerprint_mismatches_total", model=label) == 1
    assert await world.metric("region_rendition_cache_bytes") == 0
    world.painter.slip = 0
    assert (await world.ask()).headers["rendition-cache"] == "miss"


async def test_a_forged_record_is_refused(world: RegionWorld) -> None:
    record = world.record()
    response = await world.ask(record, signed=forged(record, world.key))
    assert reason(response) == (502, "signature")
    assert await world.metric("region_refused_total", reason="signature") == 1


async def test_a_strangers_record_is_refused(world: RegionWorld) -> None:
    record = world.record()
    response = await world.ask(record, signed=record.sign(SigningKey.generate()))
    assert reason(response) == (502, "signing-key")


async def test_a_record_of_another_asset_is_refused(world: RegionWorld) -> None:
    assert reason(await world.ask(key=bytes(16))) == (502, "wrong-asset")


async def test_an_expired_record_is_refused(world: RegionWorld) -> None:
    record = world.record(not_after=int(time.time()))
    assert reason(await world.ask(record)) == (502, "expired")


async def test_a_property_that_is_not_served_here_is_refused(world: RegionWorld) -> None:
    record = msgspec.structs.replace(world.record(), property="unserved")
    response = await world.ask(record, property="unserved")
    assert reason(response) == (400, "bad-request")


@pytest.mark.parametrize("still", [Still("jpeg", 300, 85), Still("jpeg", 256, 84)], ids=str)
async def test_a_rendition_outside_the_propertys_set_is_refused(
    world: RegionWorld, still: Still
) -> None:
    assert reason(await world.ask(still=still)) == (400, "bad-request")
    assert world.painter.painted == []


async def test_a_kind_of_rendition_from_the_future_is_unsupported(world: RegionWorld) -> None:
    record = world.record()
    raw = msgspec.Raw(msgspec.msgpack.encode(["segment", 1]))
    request = RehydrateRequest("rumba", record.key, record.sign(world.key), raw, 1_000)
    response = await world.client.post(REHYDRATE_PATH, content=request.encode())
    assert reason(response) == (501, "unsupported")


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"x" * 10_000])
async def test_a_body_that_is_no_request_is_refused(world: RegionWorld, body: bytes) -> None:
    assert reason(await world.client.post(REHYDRATE_PATH, content=body)) == (400, "bad-request")


async def test_what_cannot_be_done_in_time_is_refused_at_once(world: RegionWorld) -> None:
    world.painter.seconds = 0.1
    await world.ask(world.record("to learn the pace"))
    world.painter.go.clear()
    patient = asyncio.create_task(world.ask(world.record("first")))
    await until("region_queue_pictures", world, 1)
    second = world.record("second")
    began = time.monotonic()
    response = await world.ask(second, deadline_ms=120)
    assert time.monotonic() - began < 0.12
    assert reason(response) == (503, "busy") and int(response.headers["retry-after"]) >= 1
    world.painter.go.set()
    assert (await patient).status_code == 200


async def test_a_late_picture_is_refused_at_the_deadline_and_kept_for_the_next(
    world: RegionWorld,
) -> None:
    record = world.record()
    await world.client.post(f"/v1/models/rumba/{world.model.hex()}")
    world.painter.go.clear()
    assert reason(await world.ask(record, deadline_ms=300)) == (503, "busy")
    world.painter.go.set()
    await until("region_generated_images_total", world, 1)
    await until("region_stage_seconds_count", world, 4)
    assert (await world.ask(record)).headers["rendition-cache"] == "hit"
    assert world.painter.painted == ["red laces"]


@pytest.mark.parametrize("deadline_ms", [-1, 10_000_000])
async def test_a_deadline_that_makes_no_sense_is_refused(
    world: RegionWorld, deadline_ms: int
) -> None:
    assert reason(await world.ask(deadline_ms=deadline_ms)) == (400, "bad-request")


async def test_a_purge_drops_what_carries_the_tag(world: RegionWorld) -> None:
    red, blue = world.record("red"), world.record("blue")
    await world.ask(red)
    await world.ask(red, Still("webp", 256, 85))
    await world.ask(blue)
    purged = await world.client.post("/v1/purge", json={"tags": [red.key.hex()]})
    assert purged.json() == {"purged": 2}
    assert (await world.ask(red)).headers["rendition-cache"] == "miss"
    assert (await world.ask(blue)).headers["rendition-cache"] == "hit"


@pytest.mark.parametrize("purge", [{"tags": ["shoe"]}, {"tags": ["rumba"]}, {"everything": True}])
async def test_a_purge_reaches_a_family_a_property_and_everything(
    world: RegionWorld, purge: dict[str, object]
) -> None:
    await asyncio.gather(world.ask(world.record("red")), world.ask(world.record("blue")))
    assert (await world.client.post("/v1/purge", json=purge)).json() == {"purged": 2}
    assert await world.metric("region_rendition_cache_bytes") == 0


async def test_what_was_being_made_during_a_purge_is_served_but_not_kept(
    world: RegionWorld,
) -> None:
    world.painter.go.clear()
    asked = asyncio.create_task(world.ask())
    await until("region_queue_pictures", world, 1)
    await world.client.post("/v1/purge", json={"everything": True})
    world.painter.go.set()
    assert (await asked).status_code == 200
    assert (await world.ask()).headers["rendition-cache"] == "miss"


async def test_a_purge_that_is_none_is_refused(world: RegionWorld) -> None:
    response = await world.client.post("/v1/purge", content=b"[]")
    assert reason(response) == (400, "bad-request")


async def test_kept_renditions_and_models_survive_a_restart_without_the_origin(
    tmp_path: Path,
) -> None:
    async with region_world(tmp_path) as world:
        await world.ask()
    async with region_world(tmp_path) as world:
        world.origin.status = 503
        while (await world.client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)
        assert (await world.ask()).headers["rendition-cache"] == "hit"
        assert (await world.ask(world.record("another"))).status_code == 200
        assert sum(world.origin.asked.values()) == 0


async def test_a_model_that_cannot_be_had_is_the_origins_fault(world: RegionWorld) -> None:
    world.origin.status = 503
    assert reason(await world.ask()) == (504, "origin")
    world.origin.status = 200
    world.origin.bodies.clear()
    assert reason(await world.ask()) == (502, "model")


async def test_a_model_can_be_brought_in_before_its_records_are_live(world: RegionWorld) -> None:
    response = await world.client.post(f"/v1/models/rumba/{world.model.hex()}")
    told = {"model": world.model.hex(), "held_bytes": 1_000, "calibration": "no sample yet"}
    assert response.json() == told
    assert await world.metric("region_models_held_bytes") == 1_000
    assert await world.metric("region_model_download_bytes_total") == len(b"weights")


@pytest.mark.parametrize("name", ["rumba/abc", "shop/" + "0" * 64, "rumba/" + "../" * 20])
async def test_only_a_models_digest_brings_a_model_in(world: RegionWorld, name: str) -> None:
    assert (await world.client.post(f"/v1/models/{name}")).status_code in (400, 404)


async def test_what_was_done_is_counted(world: RegionWorld) -> None:
    first, second = await world.ask(), await world.ask()
    model = world.model.hex()[:8]
    assert await world.metric("region_generations_total", model=model) == 1
    assert await world.metric("region_generator_seconds_total", model=model) > 0
    assert await world.metric("region_generated_images_total", property="rumba") == 1
    assert await world.metric("region_renditions_total", cache="hit") == 1
    assert await world.metric("region_renditions_total", cache="miss") == 1
    served = len(first.content) + len(second.content)
    assert await world.metric("region_rendition_bytes_total") == served
    assert await world.metric("region_rendition_cache_bytes") >= len(first.content)
    assert await world.metric("region_stage_seconds_count", stage="encode") == 1


async def test_a_broken_device_is_a_plain_500_and_the_region_goes_on(world: RegionWorld) -> None:
    world.painter.broken = True
    assert reason(await world.ask()) == (500, "internal")
    world.painter.broken = False
    assert (await world.ask()).status_code == 200


async def test_an_unknown_path_is_answered_in_the_same_form(world: RegionWorld) -> None:
    assert reason(await world.client.get("/nothing")) == (404, "bad-request")
    assert (await world.client.get("/healthz")).json() == {"region": "local"}
