"""A payload's whole way: from an approval to the bucket, over HTTP to a region, into a picture."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec

from kvsync.agent.agent import Agent
from kvsync.agent.settings import read_settings
from kvsync.agent.transport import Transport
from kvsync.record import KeptPayload
from kvsync.rendition import Still
from kvsync.signing import Keyring
from kvsync.store import ValkeyStore
from kvsync.wire import REHYDRATE_PATH, RehydrateRequest
from origin.approved import Approved, CheckLine
from origin.publish import Publisher
from origin.qa import import_approved
from origin.sync.confirm import last_given
from origin.sync.tokens import admit
from origin.workplace import Workplace
from regional_gpu.generator.fingerprint import fingerprint
from regional_gpu.service.app import create_app
from regional_gpu.service.start import build_region
from regional_gpu.settings import RegionSettings
from tests.kvsync.sync_world import until
from tests.origin.running import running_origin
from tests.regional_gpu.region_world import paint
from tests.regional_gpu.test_region_payloads import Fitter

ApproveAll = Callable[[], list[Approved]]
LARGE = b"pose" * 1_000
PATH = "/rumba/red-white.jpg"


def fitted(one: Approved, painter: Fitter) -> Approved:
    """The same approval of what the painter paints, by a payload."""
    line = msgspec.structs.replace(one.recipe, method="fitted", payload=LARGE)
    check = fingerprint(paint(line.recipe()), painter.masks(line.prompt))
    return msgspec.structs.replace(
        one, recipe=line, check=CheckLine("grid1", check), approved_at=one.approved_at + 1
    )


@dataclass
class Region:
    """A GPU service and the agent beside it."""

    web: httpx2.AsyncClient
    agent: Agent
    store: ValkeyStore
    folder: Path


@asynccontextmanager
async def region(place: Workplace, folder: Path, painter: Fitter) -> AsyncIterator[Region]:
    origin = f"http://127.0.0.1:{place.settings.port}"
    trusted = folder / "trusted.json"
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    keys.write(trusted)
    gpu = create_app(
        build_region(
            RegionSettings(
                trusted_keys=trusted,
                origin_url=origin,
                models_dir=folder / "models",
                payloads_dir=folder / "payloads",
                renditions_dir=folder / "renditions",
                renditions_bytes=8 << 20,
            ),
            painter.load,
            painter.generate,
        )
    )
    settings = read_settings(
        region="asia-east",
        properties=("rumba",),
        origin_url=origin,
        token=admit(place.settings.region_tokens, "asia-east", ["rumba"]),
        region_urls=("http://gpu:1",),
        poll_s=0.05,
        report_s=0.05,
        ledger_dir=folder / "ledger",
    )
    store = ValkeyStore(place.settings.log_url, timeout_s=5)
    wires = {"http://gpu": httpx2.ASGITransport(gpu)}
    async with (
        gpu.router.lifespan_context(gpu),
        httpx2.AsyncClient(transport=Transport(), mounts=wires) as client,
    ):
        agent = Agent(settings, keys, store, client)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(agent.run())
            yield Region(client, agent, store, folder)
            running.cancel()
        await agent.close()


async def test_from_an_approval_to_a_picture_and_away_again(
    place: Workplace, approve_all: ApproveAll, tmp_path: Path
) -> None:
    painter = Fitter()
    import_approved(place.database, place.site, [fitted(one, painter) for one in approve_all()])
    publisher = Publisher(place.site, place.database, place.models, place.key)
    assert len(publisher.publish().signed) == 4
    key = place.site.request(PATH).key
    with running_origin(place.settings.port):
        async with region(place, tmp_path, painter) as one:
            held = one.agent.followers["rumba"].held
            end = last_given(place.database, "rumba")
            await until(lambda: held.readable_seq >= end, within_s=30)
            payloads = [file.name for file in (tmp_path / "payloads").glob("*/*")]
            assert payloads == [KeptPayload.of(LARGE).digest.hex()]

            signed = (await one.store.get("rumba", key)).record
            assert signed is not None
            still = Still("jpeg", 256, 95)
            wanted = RehydrateRequest.make("rumba", key, signed, still, 5_000)
            answer = await one.web.post(f"http://gpu:1{REHYDRATE_PATH}", content=wanted.encode())
            assert answer.status_code == 200, answer.text
            assert set(painter.payloads) == {LARGE}

            for name in list(place.site.dam.list()):
                place.site.dam.put(name, b"another original")
            publisher.publish()
            end = last_given(place.database, "rumba")
            await until(lambda: held.cursor.seq >= end, within_s=30)
            assert await held.drop_unused_payloads() == 1
            assert list((tmp_path / "payloads").glob("*/*")) == []
            assert place.models.payloads.drop_unused("rumba") == 1
