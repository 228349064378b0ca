"""What regions said last, kept beside the log: gone when its server is, and said again at once."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kvsync.record import Natural
from kvsync.report import PropertyReport, RegionReport
from origin.sync.stream import BROKEN, LogStream

REACHABLE_MS = 5_000
"""Regions report every ``SYNC_REPORT_S``, 2 s: one that was not heard for this long is gone."""


class Heard(msgspec.Struct, frozen=True):
    """A region's last word on a property, and when it came by the origin's clock."""

    at_ms: Natural
    report: PropertyReport

    def is_recent(self, now_ms: int) -> bool:
        return now_ms - self.at_ms <= REACHABLE_MS


class Reports:
    """Each method may raise :class:`kvsync.errors.StoreUnavailable`."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._redis: Any = stream.redis

    async def keep(self, report: RegionReport, properties: Iterable[str], now_ms: int) -> None:
        """Keep what a region says of those ``properties`` that are its own to speak of."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for property in set(properties) & report.properties.keys():
                    heard = Heard(now_ms, report.properties[property])
                    pipe.hset(_regions(property), report.region, msgspec.json.encode(heard))
                await pipe.execute()
        except BROKEN as error:
            raise self._stream.unavailable(error) from error

    async def of(self, property: str) -> Mapping[str, Heard]:
        """By region, what it said last."""
        try:
            found = await self._redis.hgetall(_regions(property))
        except BROKEN as error:
            raise self._stream.unavailable(error) from error
        return {name.decode(): msgspec.json.decode(raw, type=Heard) for name, raw in found.items()}

    async def ask_to_compare(self, property: str) -> int:
        """Ask every region to compare its key ranges now; the request's number."""
        try:
            return int(await self._redis.incr(_compare(property)))
        except BROKEN as error:
            raise self._stream.unavailable(error) from error

    async def asked(self, properties: Iterable[str]) -> dict[str, int]:
        """By property, the number of the last request to compare; without those never asked."""
        names = list(properties)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for property in names:
                    pipe.get(_compare(property))
                numbers = await pipe.execute()
        except BROKEN as error:
            raise self._stream.unavailable(error) from error
        return {name: int(one) for name, one in zip(names, numbers, strict=True) if one}


def _regions(property: str) -> str:
    return f"regions:{{{property}}}"


def _compare(property: str) -> str:
    return f"compare:{{{property}}}"
