"""What a region's caches are told to drop, until all of them confirmed it.

GPU services, which keep renditions, are told before the edges, which would otherwise fetch the old
rendition again. An edge purges its records, its images and the caches in front of it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import httpx2
import msgspec

from kvsync.wire import PURGE_PATH, Purge

_log = logging.getLogger("sync")

_TIMEOUT_S = 5.0
_PAUSE_S = 0.5
_TAGS_AT_ONCE = 1_000


class Caches:
    """The caches of one region for one property; ``confirmed`` is called with the sequence up to
    which all of them have dropped what changed.

    Must be running (:meth:`run`) for anything to be told.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        tiers: Sequence[Sequence[str]],
        confirmed: Callable[[int], None],
    ) -> None:
        self._client = client
        self._tiers = tuple(tuple(url.rstrip("/") for url in tier) for tier in tiers)
        self._confirmed = confirmed
        self._tags: dict[str, None] = {}
        self._seq = 0
        self._telling = False
        self._more = asyncio.Event()
        self.purged_seq = 0
        self.behind: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        return not self._tags and not self._telling

    def start_from(self, seq: int) -> None:
        """Nothing up to ``seq`` is left to be told."""
        self._seq = self.purged_seq = seq

    def drop(self, tags: Iterable[str], seq: int) -> None:
        """Have everyone drop what carries one of the tags; ``seq`` is what was applied by then."""
        self._tags.update(dict.fromkeys(tags))
        self._seq = seq
        if self.idle:
            self._done(seq)
        else:
            self._more.set()

    async def run(self) -> None:
        """Tell, again and again where it has to be, for ever."""
        while True:
            await self._more.wait()
            self._more.clear()
            tags, seq, self._tags, self._telling = tuple(self._tags), self._seq, {}, True
            while behind := await self._tell(tags):
                self.behind = behind
                _log.error("not purged: %s; told again", ", ".join(behind))
                await asyncio.sleep(_PAUSE_S)
            self.behind, self._telling = (), False
            if self.idle:
                seq = self._seq
            self._done(seq)

    def _done(self, seq: int) -> None:
        self.purged_seq = seq
        self._confirmed(seq)

    async def _tell(self, tags: Sequence[str]) -> tuple[str, ...]:
        """Who did not confirm: each tier is told, whatever the ones before it answered."""
        behind: list[str] = []
        for tier in self._tiers:
            told = await asyncio.gather(*(self._purge(url, tags) for url in tier))
            behind += [url for url, done in zip(tier, told, strict=True) if not done]
        return tuple(behind)

    async def _purge(self, url: str, tags: Sequence[str]) -> bool:
        for start in range(0, len(tags), _TAGS_AT_ONCE):
            body = msgspec.json.encode(Purge(tuple(tags[start : start + _TAGS_AT_ONCE])))
            try:
                answer = await self._client.post(url + PURGE_PATH, content=body, timeout=_TIMEOUT_S)
            except httpx2.HTTPError as error:
                _log.warning("%s did not take a purge: %r", url, error)
                return False
            if answer.status_code != 200:
                _log.warning("%s answers %d to a purge", url, answer.status_code)
                return False
        return True
