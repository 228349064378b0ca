"""A model is offered once this machine made approved pictures of it again."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from kvsync.record import RecordBody
from kvsync.signing import SigningKey
from kvsync.wire import MODELS_PATH, Hold
from regional_gpu.generator.runtime import Runtime
from regional_gpu.service import start
from tests.regional_gpu.region_world import Painter, RegionWorld, reason, region_world

PROMPTS = ("red laces", "blue laces", "white laces")


def sample(world: RegionWorld, key: SigningKey | None = None) -> bytes:
    records = [world.record(prompt) for prompt in PROMPTS]
    return Hold(tuple((one.key, one.sign(key or world.key)) for one in records)).encode()


async def hold(world: RegionWorld, body: bytes) -> tuple[int, dict[str, object]]:
    answer = await world.client.post(f"{MODELS_PATH}/rumba/{world.model.hex()}", content=body)
    found: dict[str, object] = msgspec.json.decode(answer.content)
    return answer.status_code, found


async def readiness(world: RegionWorld, word: str) -> None:
    """Wait until the region says ``word`` of its models."""
    async with asyncio.timeout(10):
        while word not in (await world.client.get("/readyz")).text:
            await asyncio.sleep(0.005)


async def test_a_model_that_draws_its_sample_is_offered(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        status, said = await hold(world, sample(world))
        assert status == 200 and str(said["calibration"]).startswith("calibrated: 3 records")
        assert world.painter.painted == list(PROMPTS)
        assert await world.metric("region_calibrations_total", outcome="passed") == 1
        assert (await world.ask()).status_code == 200


async def test_a_model_that_draws_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    async with region_world(tmp_path, painter=Painter(slip=40)) as world:
        status, said = await hold(world, sample(world))
        assert status == 502 and "is not offered here" in str(said["detail"])
        painted = len(world.painter.painted)
        answer = await world.ask()
        assert reason(answer) == (502, "model") and len(world.painter.painted) == painted
        ready = await world.client.get("/readyz")
        assert ready.status_code == 503 and "tolerances" in ready.text
        assert await world.metric("region_models_refused") == 1
        assert await world.metric("region_calibration_distance") > 1


async def test_a_refused_model_is_thought_over_when_it_is_published_again(tmp_path: Path) -> None:
    async with region_world(tmp_path, painter=Painter(slip=40)) as world:
        await hold(world, sample(world))
        world.painter.slip = 0
        status, _ = await hold(world, sample(world))
        assert status == 200 and (await world.ask()).status_code == 200
        assert (await world.client.get("/readyz")).status_code == 200


async def test_an_unchanged_runtime_does_not_repeat_it(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        await hold(world, sample(world))
        await hold(world, sample(world))
    async with region_world(tmp_path, painter=world.painter) as world:
        await hold(world, sample(world))
        assert world.painter.painted == list(PROMPTS)
        assert "calibrated" in (await world.client.get("/readyz")).text


async def test_another_runtime_calibrates_anew_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with region_world(tmp_path) as world:
        await hold(world, sample(world))
    monkeypatch.setattr(start, "read_runtime", lambda device: Runtime((("gpu", "another"),)))
    async with region_world(tmp_path, painter=Painter(slip=40)) as world:
        await readiness(world, "tolerances")
        assert reason(await world.ask()) == (502, "model")


async def test_without_a_sample_the_first_picture_that_matches_becomes_it(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        assert (await world.ask()).status_code == 200
        assert "no sample yet" in (await world.client.get("/readyz")).text
    async with region_world(tmp_path, painter=Painter()) as world:
        await readiness(world, "calibrated: 1 records")
        assert world.painter.painted == ["red laces"]


async def test_a_picture_that_matches_nothing_is_no_sample(tmp_path: Path) -> None:
    async with region_world(tmp_path, painter=Painter(slip=40)) as world:
        assert reason(await world.ask()) == (502, "fingerprint")
        assert not list(world.settings.models_dir.glob("*.sample"))


@pytest.mark.parametrize("fault", ["stranger", "other model", "not msgpack"])
async def test_a_sample_that_proves_nothing_is_refused(tmp_path: Path, fault: str) -> None:
    async with region_world(tmp_path) as world:
        body = {
            "stranger": sample(world, SigningKey.generate()),
            "other model": _of_another_model(world, world.record()),
            "not msgpack": b"\xc1",
        }[fault]
        status, _ = await hold(world, body)
        assert status >= 400 and world.painter.painted == []


def _of_another_model(world: RegionWorld, record: RecordBody) -> bytes:
    recipe = msgspec.structs.replace(record.recipe, model=b"\x07" * 32)
    other = msgspec.structs.replace(record, recipe=recipe)
    return Hold(((other.key, other.sign(world.key)),)).encode()


async def test_a_model_that_nothing_points_to_can_be_dropped(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        await hold(world, sample(world))
        path = f"{MODELS_PATH}/{world.model.hex()}"
        assert (await world.client.delete(path)).json()["dropped"] is True
        assert not [one for one in world.settings.models_dir.iterdir() if one.is_dir()]
        assert (await world.client.delete(path)).json()["dropped"] is False
        assert (await world.ask()).status_code == 200
