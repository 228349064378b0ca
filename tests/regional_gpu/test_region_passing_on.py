"""A model comes from another region where the origin cannot give it, checked all the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from kvsync.errors import ModelError, OriginUnavailable
from kvsync.signing import Keyring, SigningKey
from kvsync.wire import MODELS_PATH, Hold
from regional_gpu.generator.runtime import Runtime
from regional_gpu.service.calibration import Calibration
from regional_gpu.service.generation import generate
from regional_gpu.service.metrics import RegionMetrics
from regional_gpu.service.models import ModelPlace, Models
from regional_gpu.service.payloads import PayloadPlace, Payloads
from regional_gpu.service.schedule import Pace
from tests.regional_gpu.region_world import Painter, RegionWorld, reason, region_world


@asynccontextmanager
async def cut_off_beside(
    world: RegionWorld, folder: Path, keys: Keyring | None = None
) -> AsyncIterator[Models]:
    """The models of a region that reaches ``world`` and no origin."""
    trusted = keys or Keyring((world.key.trusted_for(["rumba"]),))
    async with AsyncClient(base_url="http://127.0.0.1:9") as nobody:
        place = ModelPlace(nobody, trusted, folder, 1 << 20, 1 << 20, (world.client,))
        metrics = RegionMetrics()
        payloads = Payloads(PayloadPlace((), folder / "payloads", 1 << 20), metrics)
        calibration = Calibration(folder, trusted, payloads, generate, lambda: Runtime(()), metrics)
        painter = Painter()
        models = Models(
            place,
            lambda at, digest: painter.load(at, digest, "cpu"),
            calibration,
            lambda: None,
            Pace(),
            metrics,
        )
        yield models
        await models.close()


async def bring_in(world: RegionWorld) -> None:
    where = f"{MODELS_PATH}/rumba/{world.model.hex()}"
    (await world.client.post(where, content=Hold().encode())).raise_for_status()


async def test_a_region_that_holds_a_model_passes_it_on(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        await bring_in(world)
        async with cut_off_beside(world, tmp_path / "other") as models:
            await models.get(world.model, "rumba")
            assert models.states().keys() == {world.model.hex()}


async def test_without_a_region_that_holds_it_the_origin_is_what_is_missing(
    tmp_path: Path,
) -> None:
    async with region_world(tmp_path) as world:
        async with cut_off_beside(world, tmp_path / "other") as models:
            with pytest.raises(OriginUnavailable):
                await models.get(world.model, "rumba")


async def test_what_another_region_changed_is_not_taken(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        await bring_in(world)
        held = world.settings.models_dir / world.model.hex() / "weights.safetensors"
        held.write_bytes(b"WEIGHTS")
        async with cut_off_beside(world, tmp_path / "other") as models:
            with pytest.raises((ModelError, OriginUnavailable)):
                await models.get(world.model, "rumba")
            assert models.states() == {}


async def test_a_model_of_a_strangers_key_is_not_taken(tmp_path: Path) -> None:
    strangers = Keyring((SigningKey.generate().trusted_for(["rumba"]),))
    async with region_world(tmp_path) as world:
        await bring_in(world)
        async with cut_off_beside(world, tmp_path / "other", strangers) as models:
            with pytest.raises((ModelError, OriginUnavailable)):
                await models.get(world.model, "rumba")


@pytest.mark.parametrize(
    "path", ["", "/weights.bin", "/../signing.key", "/%2e%2e/%2e%2e/signing.key"]
)
async def test_nothing_else_on_its_disk_is_passed_on(tmp_path: Path, path: str) -> None:
    async with region_world(tmp_path) as world:
        await bring_in(world)
        digest = world.model.hex() if path else "0" * 64
        answer = await world.client.get(f"/v1/models/{digest}{path}")
        assert reason(answer)[0] in (400, 404), answer.text
