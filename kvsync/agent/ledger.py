"""What the region's edges, GPU services and this agent counted, on its way to the origin.

Whoever counts keeps its minutes until the origin has them: they are taken from there, told to the
origin, and confirmed. What is lost on the way is asked for again, and what is told twice has the
same name both times.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from kvsync.agent.source import Origin
from kvsync.errors import RehydrationError, Unavailable
from kvsync.handing_out import HANDED_OUT_BYTES
from kvsync.ledger import (
    LEDGER_PATH,
    Carried,
    Kept,
    Minute,
    MinuteName,
    decode_minutes,
    encode_minutes,
    encode_names,
)
from kvsync.meter import Meter
from kvsync.minutes import Minutes
from kvsync.spool import Spool

_log = logging.getLogger("sync")

_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 60.0
# What a region keeps is measured this often; in between it counts as it was.
_MEASURE_S = 600.0


class LedgerAgent:
    """:meth:`run` goes on until it is cancelled.

    ``urls`` are of those who count: edges' admin addresses and GPU services. ``record_bytes`` says
    how much the region's store keeps of a property.
    """

    def __init__(
        self,
        region: str,
        properties: Sequence[str],
        urls: Sequence[str],
        client: httpx2.AsyncClient,
        spool: Spool,
        record_bytes: Callable[[str], Awaitable[int]],
        *,
        every_s: float,
    ) -> None:
        self._region, self._properties = region, tuple(properties)
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._client, self._spool, self._record_bytes = client, spool, record_bytes
        self._every_s = every_s
        self._kept: dict[tuple[str, str], int] = {}
        self.meter = Meter()
        self.minutes = Minutes(f"{region}-agent", spool, self.meter.totals, tick=self._count_kept)

    async def run(self, origin: Origin) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.minutes.keep_cutting())
            group.create_task(self._measure_always())
            for source in (None, *self._urls):
                group.create_task(self._ship_always(origin, source))

    def carried(self, property: str, size: int) -> None:
        """Count what asking the origin took, both ways; what is of no property is shared by
        all."""
        for name in (property,) if property else self._properties:
            share = size if property else -(-size // len(self._properties))
            self.meter.add(Carried, (name, "sync"), share)

    def keeps(self, property: str, what: str, size: int) -> None:
        """Count ``size`` bytes as kept from now on."""
        self._kept[property, what] = size

    async def ship(self, origin: Origin, source: str | None) -> int:
        """Bring everything that ``source`` has, this agent for None, to the origin; how many
        minutes. Raises what is in the way."""
        shipped = 0
        while minutes := await self._unconfirmed(source):
            await origin.ledger(self._region, encode_minutes(minutes))
            await self._confirm(source, [minute.name for minute in minutes])
            shipped += len(minutes)
        return shipped

    async def _ship_always(self, origin: Origin, source: str | None) -> None:
        pause_s = self._every_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self.ship(origin, source)
                pause_s = self._every_s
            except RehydrationError as error:
                _log.warning("minutes of %s wait: %s", source or "this agent", error)
                pause_s = min(2 * pause_s, max(self._every_s, _LONGEST_PAUSE_S))

    async def _unconfirmed(self, source: str | None) -> Sequence[Minute]:
        if source is None:
            return self._spool.oldest(HANDED_OUT_BYTES)
        return decode_minutes(await self._ask(source, None))

    async def _confirm(self, source: str | None, names: Sequence[MinuteName]) -> None:
        if source is None:
            self._spool.confirm(names)
        else:
            await self._ask(source, encode_names(names))

    async def _ask(self, source: str, content: bytes | None) -> bytes:
        """The answer to GET, or with ``content`` to POST."""
        method = "GET" if content is None else "POST"
        try:
            answer = await self._client.request(
                method, source + LEDGER_PATH, content=content, timeout=_TIMEOUT_S
            )
        except httpx2.HTTPError as error:
            raise Unavailable(f"{source}: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            raise Unavailable(f"{source}{LEDGER_PATH} answers {answer.status_code}")
        return answer.content

    async def _measure_always(self) -> None:
        while True:
            for property in self._properties:
                try:
                    self.keeps(property, "record", await self._record_bytes(property))
                except RehydrationError as error:
                    _log.warning("%s: how much is kept is not known: %s", property, error)
            await asyncio.sleep(_MEASURE_S)

    def _count_kept(self, seconds: float) -> None:
        for name, size in self._kept.items():
            self.meter.add(Kept, name, size * seconds)
