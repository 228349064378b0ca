"""An agent brings what its region counted to the origin: all of it, once the origin can be had."""

from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kvsync.agent.ledger import LedgerAgent
from kvsync.agent.source import Origin
from kvsync.errors import OriginUnavailable, Unavailable
from kvsync.handing_out import confirm, hand_out
from kvsync.ledger import Carried, Minute, MinuteName, decode_minutes
from kvsync.spool import Spool

START = 1_790_000_040 // 60 * 60
DAY_S = 86_400.0
EDGE = "http://edge"


class Region(httpx2.AsyncBaseTransport):
    """An edge with minutes in its spool, an origin that takes them, and the wires between; either
    may be gone, or be lost just after it did what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.edge = Spool(folder / "edge", DAY_S)
        self.own = Spool(folder / "agent", DAY_S)
        self.taken: list[Minute] = []
        self.gone: set[str] = set()
        self.unheard: set[str] = set()
        self._apps = {
            "edge": httpx2.ASGITransport(
                Starlette(
                    routes=[
                        Route("/v1/ledger", self._hand_out, methods=["GET"]),
                        Route("/v1/ledger", self._confirm, methods=["POST"]),
                    ]
                )
            ),
            "origin": httpx2.ASGITransport(
                Starlette(routes=[Route("/v1/ledger/asia-east", self._take, methods=["POST"])])
            ),
        }
        client = httpx2.AsyncClient(transport=self)
        self.agent = LedgerAgent(
            "asia-east", ("shop", "other"), [EDGE], client, self.own, _nothing, every_s=1
        )
        self.origin = Origin(client, "http://origin", "", self.agent.carried)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if host in self.gone:
            raise httpx2.ConnectError("cut")
        answer = await self._apps[host].handle_async_request(request)
        if host in self.unheard:
            raise httpx2.ReadError("cut")
        return answer

    def count(self, *starts: int) -> None:
        for start in starts:
            self.edge.add(Minute("edge-1", start, (Carried("shop", "sync", 1),)))

    @property
    def names(self) -> set[MinuteName]:
        return {minute.name for minute in self.taken}

    async def _hand_out(self, request: Request) -> Response:
        return hand_out(self.edge)

    async def _confirm(self, request: Request) -> Response:
        await confirm(self.edge, request)
        return Response()

    async def _take(self, request: Request) -> Response:
        self.taken += decode_minutes(await request.body())
        return Response(b"{}")


async def _nothing(property: str) -> int:
    return 0


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return Region(tmp_path)


async def test_what_an_edge_counted_is_told_and_then_dropped_there(region: Region) -> None:
    region.count(START, START + 60)
    assert await region.agent.ship(region.origin, EDGE) == 2
    assert region.names == {MinuteName("edge-1", START), MinuteName("edge-1", START + 60)}
    assert len(region.edge) == 0


async def test_while_the_origin_is_gone_the_edge_keeps_it(region: Region) -> None:
    region.count(START)
    region.gone.add("origin")
    with pytest.raises(OriginUnavailable):
        await region.agent.ship(region.origin, EDGE)
    assert len(region.edge) == 1
    region.gone.clear()
    assert await region.agent.ship(region.origin, EDGE) == 1


@pytest.mark.parametrize("lost", ["origin", "edge"])
async def test_an_answer_that_was_lost_makes_it_come_again_by_its_name(
    region: Region, lost: str
) -> None:
    region.count(START)
    region.unheard.add(lost)
    with pytest.raises((OriginUnavailable, Unavailable)):
        await region.agent.ship(region.origin, EDGE)
    region.unheard.clear()
    await region.agent.ship(region.origin, EDGE)
    assert region.names == {MinuteName("edge-1", START)}
    assert len(region.edge) == 0


async def test_an_agent_tells_what_it_fetched_itself(region: Region) -> None:
    region.agent.carried("shop", 1_000)
    region.agent.carried("", 11)
    region.agent.minutes.cut()
    await region.agent.ship(region.origin, None)
    assert region.taken[0].rows == (Carried("shop", "sync", 1_006), Carried("other", "sync", 6))
    assert len(region.own) == 0
    # What telling it took is in the next minute.
    region.agent.minutes.cut()
    assert len(region.own) == 1


async def test_who_answers_what_is_no_ledger_is_named(region: Region) -> None:
    with pytest.raises(Unavailable, match="http://origin"):
        await region.agent.ship(region.origin, "http://origin")
