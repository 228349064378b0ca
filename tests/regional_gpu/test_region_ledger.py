"""What a region's service did is handed out after it ended, until it is confirmed."""

import asyncio
from pathlib import Path

from kvsync.ledger import LEDGER_PATH, Carried, Held, Work, decode_minutes, encode_names
from tests.regional_gpu.region_world import region_world


async def test_what_a_service_did_is_handed_out_once_it_began_again(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        assert (await world.ask(deadline_ms=60_000)).status_code == 200
    async with region_world(tmp_path) as world:
        told = decode_minutes((await world.client.get(LEDGER_PATH)).content)
        rows = [row for minute in told for row in minute.rows]
        (serving,) = (row for row in rows if isinstance(row, Work) and row.purpose == "serve")
        assert (serving.device, serving.property, serving.family) == ("cpu", "rumba", "shoe")
        assert serving.images == 1 and serving.encode_s > 0 and serving.check_s > 0
        assert [row.purpose for row in rows if isinstance(row, Work)].count("load") == 1
        assert all(row.allocated_s > 0 for row in rows if isinstance(row, Held))
        # The model's announcement and its file, each with a head.
        (model,) = (row for row in rows if isinstance(row, Carried))
        assert (model.property, model.what) == ("rumba", "model") and model.carried_bytes > 200
        names = encode_names([minute.name for minute in told])
        answer = await world.client.post(LEDGER_PATH, content=names)
        assert answer.json() == {"dropped": len(told)}
        assert decode_minutes((await world.client.get(LEDGER_PATH)).content) == ()


async def test_what_is_made_for_two_at_once_is_one_miss(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        answers = await asyncio.gather(world.ask(deadline_ms=60_000), world.ask(deadline_ms=60_000))
    said = sorted(answer.headers["rendition-cache"] for answer in answers)
    assert said == ["hit", "miss"]
    paid = [one for one in answers if "device;dur=" in one.headers["server-timing"]]
    assert [one.headers["rendition-cache"] for one in paid] == ["miss"]
