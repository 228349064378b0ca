"""A region as a process of its own with a real model: torch, disk, sockets and signals."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.record import Approval, Check, Original, PromptRecipe, RecordBody
from kvsync.rendition import Still
from kvsync.signing import Keyring, SigningKey
from kvsync.wire import REHYDRATE_PATH, RehydrateRequest
from regional_gpu.generator.encode import decode
from regional_gpu.generator.fingerprint import ALGORITHM, fingerprint
from regional_gpu.generator.load import Job, load
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.score import psnr
from tests.regional_gpu.origin_stand_in import OriginStandIn, origin_stand_in
from tests.regional_gpu.region_world import PROPERTIES, reason

ROOT = Path(__file__).parents[2]
SIDE = 192
KEY = bytes(range(16))


def ramp(red: int, green: int, blue: int) -> NDArray[np.uint8]:
    """A picture that is darker above than below, (192, 192, 3)."""
    light = np.linspace(0.4, 1.0, SIDE)[:, None, None]
    picture = np.ones((SIDE, SIDE, 1)) * light * np.array([red, green, blue])
    return np.asarray(picture, dtype=np.uint8)


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family model of two colours, made by hand: its one component turns red into blue."""
    import torch
    from safetensors.torch import save_file

    from regional_gpu.generator.family import save
    from regional_gpu.generator.network import BasisNetwork, CoefficientNetwork, TextNetwork
    from regional_gpu.generator.picture_codec import encode
    from regional_gpu.generator.text import Vocabulary

    red, blue = ramp(200, 60, 60).astype(np.float32), ramp(60, 60, 200).astype(np.float32)
    stream = encode(np.stack([red, blue - red]), [0.5, 0.5])
    vocabulary = Vocabulary({"colour": ("red", "blue")}, frozenset(), (), ((),))
    text, coefficients = TextNetwork(2, 3), CoefficientNetwork(1, 1)
    text.embedding[vocabulary.encode("blue")[0]] = 1.0
    basis = BasisNetwork(SIDE, SIDE, 1, False, [len(stream)])
    basis.pictures[:] = torch.from_numpy(stream)
    folder = tmp_path_factory.mktemp("family")
    save(folder, vocabulary, text, coefficients, basis)
    masks = torch.zeros(1, 1, 96, 96, dtype=torch.uint8)
    masks[..., 16:80, 16:80] = 255
    save_file({"masks": masks}, folder / "masks.safetensors")
    return folder


@dataclass(frozen=True)
class Live:
    """A running region process, asked over TCP."""

    process: Process
    client: httpx2.AsyncClient

    async def ask(self, signed: bytes, still: Still) -> httpx2.Response:
        request = RehydrateRequest.make("rumba", KEY, signed, still, 10_000)
        return await self.client.post(REHYDRATE_PATH, content=request.encode())

    async def ready(self) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    if (await self.client.get("/readyz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    assert self.process.returncode is None, "the region ended"
                await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Machine:
    """Where a region's state lies; starting again is a restart."""

    folder: Path
    origin: OriginStandIn
    key: SigningKey

    @asynccontextmanager
    async def region(self) -> AsyncIterator[Live]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        trusted = self.folder / "trusted.json"
        Keyring((self.key.trusted_for(["rumba"]),)).write(trusted)
        environment = {
            **os.environ,
            "REGION_PORT": str(port),
            "REGION_TRUSTED_KEYS": str(trusted),
            "REGION_ORIGIN_URL": self.origin.url,
            "REGION_MODELS_DIR": str(self.folder / "models"),
            "REGION_LEDGER_DIR": str(self.folder / "ledger"),
            "REGION_RENDITIONS_DIR": str(self.folder / "renditions"),
            "REGION_THREADS": "1",
            "REGION_PROPERTIES_DIR": str(PROPERTIES),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "regional_gpu"), env=environment, cwd=ROOT
        )
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=20) as client:
                live = Live(process, client)
                await live.ready()
                yield live
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
async def machine(tmp_path: Path, family: Path) -> AsyncIterator[Machine]:
    async with origin_stand_in() as origin:
        found = Machine(tmp_path, origin, SigningKey.generate())
        origin.offer(family, found.key)
        yield found


def approved(family: Path, prompt: str, *, looks_like: str | None = None) -> RecordBody:
    """A record of ``prompt`` whose fingerprint is of what the model makes of ``looks_like``."""
    digest = describe(family).digest
    recipe = PromptRecipe(digest, prompt, 7, SIDE, SIDE)
    generator = load(family, expect=digest)
    job = Job(prompt, 7, SIDE, SIDE, recipe.steps, recipe.sampler, recipe.guidance)
    [pixels] = generator.generate([replace(job, prompt=looks_like or prompt)])
    check = Check(0, ALGORITHM, fingerprint(pixels, generator.masks(prompt)))
    original = Original('"v1"', bytes(32), "image/jpeg", 50_000)
    approval = Approval(b"approver", 1_790_000_000, 90.0, 1.0)
    return RecordBody(
        "still", KEY, "rumba", "shoe", 1, recipe, (check,), original, approval, 1 << 33
    )


async def test_a_real_model_is_fetched_generates_is_checked_and_delivered(
    machine: Machine, family: Path
) -> None:
    red = approved(family, "red").sign(machine.key)
    async with machine.region() as region:
        for still in (Still("jpeg", 768, 92), Still("webp", 768, 95), Still("avif", 768, 85)):
            response = await region.ask(red, still)
            assert response.status_code == 200, response.text
            assert response.headers["content-type"] == still.media_type
            assert psnr(ramp(200, 60, 60), decode(response.content)) > 33
        again = await region.ask(red, Still("avif", 768, 85))
        assert again.headers["rendition-cache"] == "hit" and again.content == response.content
        text = (await region.client.get("/metrics")).text
        label = describe(family).digest.hex()[:8]
        assert f'region_generations_total{{model="{label}"}} 3.0' in text


async def test_what_the_real_model_gets_wrong_is_not_served(machine: Machine, family: Path) -> None:
    wrong = approved(family, "blue", looks_like="red").sign(machine.key)
    async with machine.region() as region:
        assert reason(await region.ask(wrong, Still("jpeg", 256, 85))) == (502, "fingerprint")


async def test_a_prompt_that_the_model_cannot_read_is_the_records_fault(
    machine: Machine, family: Path
) -> None:
    red = approved(family, "red")
    odd = msgspec.structs.replace(red, recipe=msgspec.structs.replace(red.recipe, prompt="purple"))
    async with machine.region() as region:
        response = await region.ask(odd.sign(machine.key), Still("jpeg", 256, 85))
        assert reason(response) == (502, "malformed") and "purple" in response.text


async def test_killed_and_restarted_while_the_origin_is_down_it_serves_from_its_own_disk(
    machine: Machine, family: Path
) -> None:
    red, still = approved(family, "red").sign(machine.key), Still("jpeg", 256, 85)
    async with machine.region() as region:
        before = await region.ask(red, still)
        region.process.send_signal(signal.SIGKILL)
        await region.process.wait()
    machine.origin.bodies.clear()
    machine.origin.asked.clear()
    async with machine.region() as region:
        kept = await region.ask(red, still)
        made = await region.ask(approved(family, "blue").sign(machine.key), still)
        assert kept.content == before.content and kept.headers["rendition-cache"] == "hit"
        assert made.status_code == 200 and made.headers["rendition-cache"] == "miss"
        region.process.terminate()
        assert await region.process.wait() == 0
    assert not machine.origin.asked
