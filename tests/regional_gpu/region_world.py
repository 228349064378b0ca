"""A region small enough for a test: real HTTP, records, fingerprints and encoders, and a painter
where the generator stands, which can be held up, made to err, and remembers what it was asked."""

import hashlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
from httpx2 import ASGITransport, AsyncClient, Response
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from kvsync.errors import ModelError, RehydrationError
from kvsync.record import Approval, Check, Original, PromptRecipe, RecordBody
from kvsync.rendition import Still
from kvsync.signing import Keyring, SigningKey
from kvsync.wire import REHYDRATE_PATH, RehydrateRequest
from regional_gpu.generator.fingerprint import fingerprint
from regional_gpu.generator.load import Generator
from regional_gpu.generator.model_folder import describe
from regional_gpu.service.app import create_app
from regional_gpu.service.start import build_region
from regional_gpu.settings import RegionSettings
from tests.regional_gpu.origin_stand_in import OriginStandIn, origin_stand_in

Pixels = NDArray[np.uint8]
PROPERTIES = Path(__file__).parents[1] / "properties"
JPEG = Still("jpeg", 256, 85)


@dataclass
class Painter:
    """Paints a smooth picture from prompt and seed; ``slip`` is added to every pixel."""

    digest: bytes = bytes(32)
    size_bytes: int = 1_000
    painted: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    slip: int = 0
    seconds: float = 0.0
    broken: bool = False

    def __post_init__(self) -> None:
        self.go.set()

    def load(self, folder: Path, digest: bytes, device: str) -> Generator:
        if describe(folder).digest != digest:
            raise ModelError(f"{folder}: damaged")
        self.digest = digest
        return cast(Generator, self)

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        masks = np.zeros((1, 96, 96), np.uint8)
        masks[0, 20:60, 20:60] = 255
        return masks

    def generate(
        self, generator: Generator, recipes: Sequence[PromptRecipe]
    ) -> list[Pixels | RehydrationError]:
        assert self.go.wait(5)
        time.sleep(self.seconds * len(recipes))
        if self.broken:
            raise RuntimeError("device lost")
        self.painted += [recipe.prompt for recipe in recipes]
        return [paint(recipe) + np.uint8(self.slip) for recipe in recipes]


@cache
def paint(recipe: PromptRecipe) -> Pixels:
    digest = hashlib.blake2b(f"{recipe.prompt}/{recipe.seed}".encode(), digest_size=12).digest()
    corners = np.frombuffer(digest, np.uint8).reshape(2, 2, 3).astype(float) * 0.75 + 20
    down, right = np.linspace(0, 1, recipe.height), np.linspace(0, 1, recipe.width)
    rows = np.stack([1 - down, down], axis=1)
    columns = np.stack([1 - right, right], axis=1)
    colours = np.einsum("hi,ijc,wj->hwc", rows, corners, columns, optimize=True)
    picture: Pixels = colours.astype(np.uint8)
    return picture


@dataclass
class RegionWorld:
    """One region behind its HTTP, its origin, and the key that signs for both."""

    client: AsyncClient
    origin: OriginStandIn
    painter: Painter
    key: SigningKey
    model: bytes
    settings: RegionSettings

    def record(
        self, prompt: str = "red laces", *, seed: int = 1, not_after: int = 1 << 33
    ) -> RecordBody:
        """An approved record of what the painter paints; its asset key comes from the prompt."""
        recipe = PromptRecipe(self.model, prompt, seed, 768, 768)
        digest = fingerprint(paint(recipe), self.painter.masks(prompt))
        key = hashlib.blake2b(prompt.encode(), digest_size=16).digest()
        original = Original('"v1"', bytes(32), "image/jpeg", 50_000)
        approval = Approval(b"approver", 1_790_000_000, 90.0, 1.0)
        return RecordBody(
            "still", key, "rumba", "shoe", 1, recipe, (Check(0, "grid1", digest),), original,
            approval, not_after,
        )  # fmt: skip

    async def ask(
        self,
        record: RecordBody | None = None,
        still: Still = JPEG,
        *,
        deadline_ms: int = 5_000,
        signed: bytes | None = None,
        key: bytes | None = None,
        property: str = "rumba",
    ) -> Response:
        body = record or self.record()
        request = RehydrateRequest.make(
            property, key or body.key, signed or body.sign(self.key), still, deadline_ms
        )
        return await self.client.post(REHYDRATE_PATH, content=request.encode())

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        text = (await self.client.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def reason(response: Response) -> tuple[int, str]:
    """Status and reason of an error answer."""
    return response.status_code, msgspec.json.decode(response.content)["error"]


@asynccontextmanager
async def region_world(
    folder: Path, *, painter: Painter | None = None, max_queue: int = 64, store_url: str = ""
) -> AsyncIterator[RegionWorld]:
    """Start a region with its state in ``folder``; entered twice, it is a restart."""
    painter = painter or Painter()
    key = SigningKey.load_or_create(folder / "signing.key")
    Keyring((key.trusted_for(["rumba", "unserved"]),)).write(folder / "trusted.json")
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "weights.safetensors").write_bytes(b"weights")
    async with origin_stand_in() as origin:
        model = origin.offer(source, key)
        settings = RegionSettings(
            trusted_keys=folder / "trusted.json",
            properties_dir=PROPERTIES,
            origin_url=origin.url,
            models_dir=folder / "models",
            ledger_dir=folder / "ledger",
            payloads_dir=folder / "payloads",
            renditions_dir=folder / "renditions",
            renditions_bytes=8 << 20,
            max_queue=max_queue,
            store_url=store_url,
        )
        app = create_app(build_region(settings, painter.load, painter.generate))
        transport = ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=transport, base_url="http://region") as client,
        ):
            yield RegionWorld(client, origin, painter, key, model, settings)


def forged(record: RecordBody, key: SigningKey) -> bytes:
    """The signed record with one bit of its signature turned."""
    signed = bytearray(record.sign(key))
    signed[-1] ^= 1
    return bytes(signed)
