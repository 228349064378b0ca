"""Caches in front of this edge: what they are told beside an answer, and to drop.

An nginx has no purge of its own, so what is purged is taken out of its folder; it misses what it
does not find there. A Varnish is sent a ``PURGE`` with the tags, which it turns into a ban. Both
keep only what the edge says that it keeps itself (``deploy/front``), so an answer that a purge
overtook inside the edge is not kept in front of it either. One that had just left the edge is met
by a second round.
"""

import asyncio
import logging
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import httpx2

from kvsync.errors import Unavailable

_log = logging.getLogger(__name__)
TAGS_FIELD = "x-edge-tags"
# nginx's own: how long it may keep an answer, in seconds; it deducts no age by itself.
EXPIRES_FIELD = "x-accel-expires"
SECOND_ROUND_S = 1.0
_SECOND_TRIES = 5
# nginx's proxy_buffer_size bounds a head; its own header lies before it.
_HEAD_BYTES = 40 << 10
_USUAL_HEAD_BYTES = 4 << 10
_TAGS_LINE = re.compile(rb"\r\nx-edge-tags: ([^\r\n]*)\r\n", re.IGNORECASE)
_TAGS_AT_ONCE = 64
_TIMEOUT_S = 5.0


class FrontUnavailable(Unavailable):
    """A cache in front could not be told to drop something: it may still show it."""

    status = 503
    reason = "front"


class Front(Protocol):
    async def purge(self, tags: Sequence[str] | None) -> None:
        """Drop what carries one of the tags; everything for None. Raises
        :class:`FrontUnavailable`."""


class NginxFolder:
    """The folder of ``proxy_cache_path``, read and written as the user that nginx runs as.

    A purge by tag reads the head of every file: some fifty thousand a second from memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def purge(self, tags: Sequence[str] | None) -> None:
        wanted = None if tags is None else frozenset(tag.encode() for tag in tags)
        try:
            await asyncio.to_thread(self._drop, wanted)
        except OSError as error:
            raise FrontUnavailable(
                f"{error.filename or self._folder}: cannot be taken out of nginx's cache "
                f"({error.strerror}); run the edge as nginx's user"
            ) from error

    def _drop(self, wanted: frozenset[bytes] | None) -> None:
        # A folder that is not there would look like an empty one.
        os.scandir(self._folder).close()
        for path in _files(self._folder):
            # Gone already: nginx's own housekeeping, or it was renamed and is met under that name.
            try:
                if wanted is None or not wanted.isdisjoint(_tags_in(path)):
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue


class Varnish:
    """A Varnish with ``deploy/front/default.vcl``, by its URL."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def purge(self, tags: Sequence[str] | None) -> None:
        if tags is None:
            await self._ban(".*")
            return
        for start in range(0, len(tags), _TAGS_AT_ONCE):
            some = tags[start : start + _TAGS_AT_ONCE]
            await self._ban("|".join(re.escape(tag) for tag in some))

    async def _ban(self, pattern: str) -> None:
        fields = {"x-purge-tags": pattern}
        try:
            answer = await self._client.request(
                "PURGE", self._url, headers=fields, timeout=_TIMEOUT_S
            )
        except httpx2.HTTPError as error:
            raise FrontUnavailable(f"{self._url} was not told of a purge: {error!r}") from error
        if answer.status_code != 200:
            said = answer.text.strip()[:100]
            raise FrontUnavailable(
                f"{self._url} answered a purge with {answer.status_code} ({said})"
            )


class Fronts:
    """All caches in front of one edge."""

    def __init__(self, fronts: Iterable[Front]) -> None:
        self._fronts = tuple(fronts)
        self._second_rounds: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._fronts)

    async def purge(self, tags: Sequence[str] | None) -> None:
        """Have them drop what the edge has dropped, now and once more a second later.

        Raises :class:`FrontUnavailable` when one of them could not be told the first time.
        """
        if not self._fronts:
            return
        await self._round(tags)
        task = asyncio.create_task(self._later(tags))
        self._second_rounds.add(task)
        task.add_done_callback(self._second_rounds.discard)

    async def close(self) -> None:
        """Wait for what is still to be told."""
        await asyncio.gather(*self._second_rounds, return_exceptions=True)

    async def _later(self, tags: Sequence[str] | None) -> None:
        """The second round, again while one of them cannot be told: nobody else would."""
        for left in reversed(range(_SECOND_TRIES)):
            await asyncio.sleep(SECOND_ROUND_S)
            try:
                return await self._round(tags)
            except FrontUnavailable as error:
                if not left:
                    _log.error("what left the edge just before a purge may be shown: %s", error)

    async def _round(self, tags: Sequence[str] | None) -> None:
        await asyncio.gather(*(front.purge(tags) for front in self._fronts))


def _files(folder: Path) -> Iterable[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield Path(parent, name)


def _tags_in(path: Path) -> list[bytes]:
    """The tags that an answer in nginx's form carries: its own header, then the response's head.

    One without a tag is not the edge's and cannot be purged by one.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.read(fd, _USUAL_HEAD_BYTES)
        found = _TAGS_LINE.search(head)
        if found is None:
            found = _TAGS_LINE.search(head + os.read(fd, _HEAD_BYTES))
    finally:
        os.close(fd)
    return found[1].split() if found else []
