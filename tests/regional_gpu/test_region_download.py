from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from kvsync.errors import ModelError, OriginUnavailable
from kvsync.signing import Keyring, SigningKey
from regional_gpu.service.download import announcement_file, clear_incoming, download
from tests.regional_gpu.origin_stand_in import OriginStandIn, origin_stand_in

KEY = SigningKey.generate()
KEYS = Keyring((KEY.trusted_for(["rumba"]),))


@pytest.fixture
async def origin() -> AsyncIterator[OriginStandIn]:
    async with origin_stand_in() as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "decoder").mkdir(parents=True)
    (folder / "model_index.json").write_bytes(b"{}")
    (folder / "decoder" / "weights.safetensors").write_bytes(bytes(range(256)) * 2_000)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


async def fetch(
    origin: OriginStandIn, models: Path, digest: bytes, *, max_bytes: int = 1 << 30
) -> Path:
    async with AsyncClient(base_url=origin.url) as client:
        return await download(
            client, models, digest, property="rumba", keys=KEYS, max_bytes=max_bytes
        )


def weights(digest: bytes) -> str:
    return f"/v1/models/{digest.hex()}/decoder/weights.safetensors"


def nothing_is_left(models: Path) -> bool:
    return not models.exists() or not any(models.iterdir())


async def test_a_model_arrives_whole_with_its_announcement_beside_it(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    folder = await fetch(origin, models, digest)
    for path in ("model_index.json", "decoder/weights.safetensors"):
        assert (folder / path).read_bytes() == (source / path).read_bytes()
    assert (
        announcement_file(models, digest).read_bytes()
        == (origin.bodies[f"/v1/models/{digest.hex()}"])
    )
    assert {path.name for path in models.iterdir()} == {
        digest.hex(),
        f"{digest.hex()}.announcement",
    }


async def test_a_file_with_another_content_is_refused(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    origin.bodies[weights(digest)] = bytes(256 * 2_000)
    with pytest.raises(ModelError, match="not the file that was signed"):
        await fetch(origin, models, digest)
    assert nothing_is_left(models)


async def test_a_file_that_ends_early_is_refused(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    origin.bodies[weights(digest)] = origin.bodies[weights(digest)][:-1]
    with pytest.raises(ModelError, match="ended after 511999 of 512000 bytes"):
        await fetch(origin, models, digest)
    assert nothing_is_left(models)


async def test_a_connection_that_breaks_is_the_origins_fault(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    origin.bodies[weights(digest)] = b"half"
    origin.announced_bytes[weights(digest)] = 512_000
    with pytest.raises(OriginUnavailable):
        await fetch(origin, models, digest)
    assert nothing_is_left(models)


async def test_a_file_longer_than_announced_is_hung_up_on(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    origin.bodies[weights(digest)] += bytes(20 << 20)
    with pytest.raises(ModelError, match="longer than the 512000 bytes"):
        await fetch(origin, models, digest)
    assert nothing_is_left(models)


async def test_a_model_beyond_the_disk_bound_is_refused_before_any_file_is_fetched(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    with pytest.raises(ModelError, match="REGION_MODELS_DISK_BYTES"):
        await fetch(origin, models, digest, max_bytes=1_000)
    assert sum(origin.asked.values()) == 1 and nothing_is_left(models)


@pytest.mark.parametrize("key", [SigningKey.generate(), KEY], ids=["stranger", "another property"])
async def test_an_announcement_by_anyone_else_is_refused(
    origin: OriginStandIn, source: Path, models: Path, key: SigningKey
) -> None:
    digest = origin.offer(source, key, property="shop-2")
    with pytest.raises(ModelError):
        await fetch(origin, models, digest)
    assert nothing_is_left(models)


async def test_the_announcement_of_another_model_is_refused(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    digest = origin.offer(source, KEY)
    origin.bodies[f"/v1/models/{bytes(32).hex()}"] = origin.bodies[f"/v1/models/{digest.hex()}"]
    with pytest.raises(ModelError, match="lists another model"):
        await fetch(origin, models, bytes(32))


async def test_an_endless_announcement_is_hung_up_on(origin: OriginStandIn, models: Path) -> None:
    origin.bodies[f"/v1/models/{bytes(32).hex()}"] = bytes(1 << 20)
    with pytest.raises(ModelError, match="announcement is longer"):
        await fetch(origin, models, bytes(32))


async def test_a_model_that_the_origin_lacks_and_an_origin_in_trouble_differ(
    origin: OriginStandIn, source: Path, models: Path
) -> None:
    with pytest.raises(ModelError, match="publish the model"):
        await fetch(origin, models, bytes(32))
    digest = origin.offer(source, KEY)
    origin.status = 503
    with pytest.raises(OriginUnavailable):
        await fetch(origin, models, digest)


def test_what_a_killed_download_left_is_cleared(models: Path) -> None:
    (models / ".incoming-1234-abcd" / "decoder").mkdir(parents=True)
    clear_incoming(models)
    assert nothing_is_left(models)
