"""Payloads before records: a record is read in a region once what it names is held there."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import httpx2

from kvsync.errors import RegionUnavailable, RehydrationError
from kvsync.record import KeptPayload
from kvsync.wire import MAX_PAYLOADS_AT_ONCE, PAYLOADS_PATH, PayloadList, PayloadsHeld

_log = logging.getLogger("sync")

T = TypeVar("T")

_TIMEOUT_S = 300.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# Each telling reads all that waits: often enough to be soon, seldom enough to cost little.
_TELL_EVERY_S = 2.0


class Payloads:
    """Which payloads every GPU service of the region holds. Without any such service, all are.

    ``came`` is called with the property when more of them may be; it tells what is lacking then.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        region_urls: Sequence[str],
        came: Callable[[str], Awaitable[None]],
    ) -> None:
        self._client = client
        self._urls = tuple(url.rstrip("/") for url in region_urls)
        self._came = came
        self._held: dict[str, set[bytes]] = {}
        self._wanted: dict[str, dict[bytes, KeptPayload]] = {}
        # Asked about since it was last begun to look for what nothing names.
        self._asked: dict[str, set[bytes]] = {}
        self._bringing: dict[str, asyncio.Task[None]] = {}

    def ready(self, property: str, payload: KeptPayload) -> bool:
        if not self._urls:
            return True
        self._asked.setdefault(property, set()).add(payload.digest)
        return payload.digest in self._held.get(property, ())

    def want(
        self, property: str, payloads: Iterable[KeptPayload], *, no_others: bool = False
    ) -> None:
        """Have payloads brought in that records wait for; with ``no_others`` these are all."""
        wanted = self._wanted.setdefault(property, {})
        if no_others:
            wanted.clear()
        wanted.update((one.digest, one) for one in payloads if not self.ready(property, one))
        if wanted and property not in self._bringing:
            self._bringing[property] = asyncio.create_task(self._bring(property))

    async def held(self, property: str) -> set[bytes]:
        """The digests of all that any service holds; from now on it counts what is asked about.

        Raises :class:`RegionUnavailable`.
        """
        self._asked[property] = set()
        found: set[bytes] = set()
        for url in self._urls:
            found |= {one.digest for one in await self._list(url, property)}
        return found

    async def drop(self, property: str, digests: set[bytes]) -> int:
        """Have services let go of payloads, but for those asked about meanwhile; how many.

        Raises :class:`RegionUnavailable`.
        """
        unused = sorted(digests - self._asked[property] - self._wanted.get(property, {}).keys())
        self._held.get(property, set()).difference_update(unused)
        for some in _slices(unused):
            for url in self._urls:
                await self._post(url, property, PayloadList(drop=tuple(some)))
        return len(unused)

    async def close(self) -> None:
        for task in self._bringing.values():
            task.cancel()
        await asyncio.gather(*self._bringing.values(), return_exceptions=True)

    async def _bring(self, property: str) -> None:
        """Until nothing is wanted any more; what is refused is asked for again."""
        pause_s, wanted = _FIRST_PAUSE_S, self._wanted[property]
        try:
            while wanted:
                await self._bring_all(property, list(wanted.values()))
                await self._tell(property)
                if wanted:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            del self._bringing[property]

    async def _bring_all(self, property: str, wanted: Sequence[KeptPayload]) -> None:
        told_at = time.monotonic()
        for some in _slices(wanted):
            await self._bring_some(property, some)
            if time.monotonic() - told_at > _TELL_EVERY_S:
                await self._tell(property)
                told_at = time.monotonic()

    async def _tell(self, property: str) -> None:
        """Let records be read, and forget those that nobody waits for any more."""
        try:
            await self._came(property)
        except RehydrationError as error:
            _log.warning("%s: records wait on: %s", property, error)

    async def _bring_some(self, property: str, some: Sequence[KeptPayload]) -> None:
        """Have each service fetch them."""
        asked = PayloadList(hold=tuple(some))
        missing: dict[str, str] = {}
        for url in self._urls:
            try:
                missing |= await self._post(url, property, asked)
            except RegionUnavailable as error:
                missing |= {one.digest.hex(): str(error) for one in some}
        if missing:
            why = next(iter(missing.values()))
            _log.error("%s: records wait for %d payloads: %s", property, len(missing), why)
        here = {one.digest for one in some if one.digest.hex() not in missing}
        self._held.setdefault(property, set()).update(here)
        for digest in here:
            self._wanted[property].pop(digest, None)

    async def _list(self, url: str, property: str) -> tuple[KeptPayload, ...]:
        answer = await self._ask("GET", url, property, b"")
        return PayloadList.decode(answer).hold

    async def _post(self, url: str, property: str, asked: PayloadList) -> dict[str, str]:
        return PayloadsHeld.decode(await self._ask("POST", url, property, asked.encode())).missing

    async def _ask(self, method: str, url: str, property: str, body: bytes) -> bytes:
        where = f"{url}{PAYLOADS_PATH}/{property}"
        try:
            answer = await self._client.request(method, where, content=body, timeout=_TIMEOUT_S)
        except httpx2.HTTPError as error:
            raise RegionUnavailable(f"{url}: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            raise RegionUnavailable(f"{url}: {answer.text[:300]}")
        return answer.content


def _slices(many: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(many), MAX_PAYLOADS_AT_ONCE):
        yield many[start : start + MAX_PAYLOADS_AT_ONCE]
