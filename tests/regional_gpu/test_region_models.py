import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from httpx2 import AsyncClient

from kvsync.errors import ModelError, OriginUnavailable
from kvsync.signing import Keyring, SigningKey
from regional_gpu.generator.load import Generator
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.runtime import Runtime
from regional_gpu.service.calibration import Calibration
from regional_gpu.service.generation import generate
from regional_gpu.service.metrics import RegionMetrics
from regional_gpu.service.models import ModelPlace, Models
from regional_gpu.service.payloads import PayloadPlace, Payloads
from regional_gpu.service.schedule import Pace
from tests.regional_gpu.origin_stand_in import OriginStandIn, origin_stand_in

KEY = SigningKey.generate()
KEYS = Keyring((KEY.trusted_for(["rumba"]),))


@dataclass
class WeightsOnly:
    """What a loader gives: here only a size, so that the shelf alone is looked at."""

    digest: bytes
    size_bytes: int


@dataclass
class Shelf:
    """A region's models, its origin and what was loaded so far."""

    origin: OriginStandIn
    source: Path
    folder: Path
    loaded: list[bytes] = field(default_factory=list)
    refuse: bool = False

    def offer(self, name: str, size: int = 1_000) -> bytes:
        made = self.source / name
        made.mkdir(parents=True)
        (made / "weights.safetensors").write_bytes(hashlib.shake_128(name.encode()).digest(size))
        return self.origin.offer(made, KEY)

    def load(self, folder: Path, digest: bytes) -> Generator:
        manifest = describe(folder)
        if manifest.digest != digest:
            raise ModelError(f"{folder}: damaged")
        if self.refuse:
            raise ModelError(f"{folder}: not an allowed class")
        self.loaded.append(digest)
        return cast(Generator, WeightsOnly(digest, manifest.size))

    @asynccontextmanager
    async def models(
        self, *, memory: int = 1 << 20, disk: int = 1 << 20, keys: Keyring = KEYS
    ) -> AsyncIterator[Models]:
        async with AsyncClient(base_url=self.origin.url) as client:
            place = ModelPlace(client, keys, self.folder, memory, disk)
            metrics = RegionMetrics()
            # None comes with these models, so that nothing is generated.
            payloads = Payloads(PayloadPlace((), self.folder / "payloads", 1 << 20), metrics)
            calibration = Calibration(
                self.folder, keys, payloads, generate, lambda: Runtime(()), metrics
            )
            models = Models(place, self.load, calibration, lambda: None, Pace(), metrics)
            try:
                yield models
            finally:
                await models.close()

    def downloads(self, digest: bytes) -> int:
        return self.origin.asked[f"/v1/models/{digest.hex()}"]


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with origin_stand_in() as origin:
        yield Shelf(origin, tmp_path / "source", tmp_path / "models")


async def test_all_who_ask_at_once_share_one_download_and_one_load(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models() as models:
        found = await asyncio.gather(*(models.get(digest, "rumba") for _ in range(20)))
    assert len(set(map(id, found))) == 1
    assert shelf.downloads(digest) == 1 and shelf.loaded == [digest]


async def test_a_restart_with_the_origin_gone_serves_from_disk(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models() as models:
        await models.get(digest, "rumba")
    shelf.origin.bodies.clear()
    async with shelf.models() as models:
        await models.preload()
        assert digest in models.held and shelf.downloads(digest) == 1


async def test_a_damaged_folder_is_fetched_again(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models() as models:
        await models.get(digest, "rumba")
    weights = shelf.folder / digest.hex() / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    async with shelf.models() as models:
        await models.preload()
        assert digest not in models.held
        await models.get(digest, "rumba")
    assert weights.read_bytes() == whole and shelf.downloads(digest) == 2


async def test_a_whole_model_that_is_refused_is_not_fetched_again(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models() as models:
        await models.get(digest, "rumba")
    shelf.refuse = True
    async with shelf.models() as models:
        await models.preload()
        with pytest.raises(ModelError, match="not an allowed class"):
            await models.get(digest, "rumba")
    assert shelf.downloads(digest) == 1


async def test_a_model_whose_key_is_trusted_no_more_is_not_served_from_disk(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models() as models:
        await models.get(digest, "rumba")
    async with shelf.models(keys=Keyring(())) as models:
        await models.preload()
        assert digest not in models.held
        with pytest.raises(ModelError):
            await models.get(digest, "rumba")


async def test_the_least_recently_used_model_leaves_memory_but_not_the_disk(shelf: Shelf) -> None:
    a, b, c = shelf.offer("a"), shelf.offer("b"), shelf.offer("c")
    async with shelf.models(memory=2_500) as models:
        for digest in (a, b, a, c):
            await models.get(digest, "rumba")
        assert a in models.held and b not in models.held
        await models.get(b, "rumba")
    assert shelf.loaded == [a, b, c, b] and shelf.downloads(b) == 1


async def test_the_oldest_model_leaves_the_disk_when_it_is_full(shelf: Shelf) -> None:
    a, b, c = shelf.offer("a"), shelf.offer("b"), shelf.offer("c")
    async with shelf.models(disk=2_500) as models:
        for digest in (a, b, c):
            await models.get(digest, "rumba")
    assert {path.name for path in shelf.folder.iterdir()} == {
        name for digest in (b, c) for name in (digest.hex(), f"{digest.hex()}.announcement")
    }


async def test_a_model_larger_than_the_memory_is_refused(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models(memory=999) as models:
        with pytest.raises(ModelError, match="REGION_MODEL_MEMORY_BYTES"):
            await models.get(digest, "rumba")


async def test_a_refused_model_is_not_fetched_again_at_once(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    shelf.origin.bodies[f"/v1/models/{digest.hex()}/weights.safetensors"] = b"forged"
    async with shelf.models() as models:
        for _ in range(3):
            with pytest.raises(ModelError):
                await models.get(digest, "rumba")
    assert shelf.downloads(digest) == 1


async def test_an_origin_that_comes_back_is_asked_again_at_once(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    shelf.origin.status = 503
    async with shelf.models() as models:
        with pytest.raises(OriginUnavailable):
            await models.get(digest, "rumba")
        shelf.origin.status = 200
        assert (await models.get(digest, "rumba")).size_bytes == 1_000


async def test_no_new_announcement_can_be_had_for_another_property(shelf: Shelf) -> None:
    digest = shelf.offer("a")
    async with shelf.models() as models:
        shelf.origin.delay_s = 0.05
        mine = asyncio.create_task(models.get(digest, "rumba"))
        with pytest.raises(ModelError):
            await models.get(digest, "shop-2")
        assert (await mine).size_bytes == 1_000


async def test_how_long_a_model_takes_is_remembered(shelf: Shelf) -> None:
    a, b = shelf.offer("a"), shelf.offer("b")
    shelf.origin.delay_s = 0.02
    async with shelf.models(memory=1_500) as models:
        assert models.ready_s(a) == 0.0
        await models.get(a, "rumba")
        assert models.ready_s(a) == 0.0
        await models.get(b, "rumba")
        assert models.ready_s(a) >= 0.04


async def test_refusals_are_forgotten_so_that_they_do_not_pile_up(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regional_gpu.service.models.REFUSAL_SECONDS", 0.0)
    async with shelf.models() as models:
        for number in range(20):
            with pytest.raises(ModelError):
                await models.get(bytes([number]) * 32, "rumba")
        assert len(models._refused) == 1
