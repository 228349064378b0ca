"""An agent's minutes wait while a real origin is away, and count once whatever was lost."""

import time
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select

from kvsync.agent.ledger import LedgerAgent
from kvsync.agent.source import Origin
from kvsync.errors import OriginUnavailable
from kvsync.ledger import Carried, Minute
from kvsync.spool import Spool
from origin.ledger.tables import CARRIED, DAY_S
from origin.sync.tokens import admit
from origin.workplace import open_workplace
from tests.origin.running import running_origin

START = int(time.time()) // 60 * 60
MINUTES = [Minute("edge-1", START - 60 * ago, (Carried("rumba", "sync", 100),)) for ago in range(3)]


async def _nothing(property: str) -> int:
    return 0


async def test_minutes_wait_for_an_origin_and_count_once(
    environment: None, free_port: int, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", DAY_S)
    with open_workplace("rumba") as place:
        token = admit(place.settings.region_tokens, "asia-east", ["rumba"])
        async with httpx2.AsyncClient() as client:
            origin = Origin(client, f"http://127.0.0.1:{free_port}", token)
            agent = LedgerAgent("asia-east", ("rumba",), [], client, spool, _nothing, every_s=1)
            for minute in MINUTES:
                spool.add(minute)
            with pytest.raises(OriginUnavailable):
                await agent.ship(origin, None)
            with running_origin(free_port):
                assert await agent.ship(origin, None) == len(MINUTES)
            # As if the answer had been lost on the way.
            spool.add(MINUTES[0])
            with pytest.raises(OriginUnavailable):
                await agent.ship(origin, None)
            with running_origin(free_port):
                assert await agent.ship(origin, None) == 1
        assert len(spool) == 0
        whole = select(func.sum(CARRIED.c.carried_bytes)).where(CARRIED.c.span_s == DAY_S)
        with place.database.reading() as session:
            assert session.execute(whole).scalar() == 100 * len(MINUTES)
