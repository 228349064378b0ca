"""Ask regions to rehydrate: nearest first, within one deadline, each behind a breaker."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Sequence

import msgspec

from edge.breaker import Breaker, Rules, State
from edge.gate import Gate
from edge.hedge import Bucket, Latencies
from edge.kept import KeptConnections, Told
from edge.reply import Generated
from edge.respond import parse_server_timing
from edge.rules.fields import seconds
from edge.trace import onward
from kvsync.encoding import UNREADABLE
from kvsync.errors import (
    BadSignature,
    Busy,
    ExpiredRecord,
    FingerprintMismatch,
    KeyNotAllowed,
    MalformedRecord,
    ModelError,
    Overloaded,
    RegionUnavailable,
    RehydrationError,
    RevokedRecord,
    Unavailable,
    Unsupported,
    WrongAsset,
)
from kvsync.property import Property
from kvsync.record import Record
from kvsync.rendition import Still
from kvsync.wire import MSGPACK, REHYDRATE_PATH, ErrorBody, RehydrateRequest

# What a region may say of a record or model; its word is taken, the record was verified here.
_SAYINGS: dict[str, type[RehydrationError]] = {
    kind.reason: kind
    for kind in (
        BadSignature,
        ExpiredRecord,
        FingerprintMismatch,
        KeyNotAllowed,
        MalformedRecord,
        ModelError,
        RevokedRecord,
        Unsupported,
        WrongAsset,
    )
}
_CONTENT_TYPE = ("content-type", MSGPACK)
_CONNECT_SHARE = 0.5
_TOLD_SHARE = 0.95
_WORTHWHILE_S = 0.02

Counted = Callable[[str, str], None]


class Region:
    """One region: the way there, and what is known of its health."""

    def __init__(self, kept: KeptConnections, url: str, rules: Rules, concurrency: int) -> None:
        self.url = url.rstrip("/")
        self.kept = kept
        self.gate = Gate(f"region {self.url}", concurrency)
        self._breaker = Breaker(rules)
        self._latencies = Latencies()

    def state(self) -> State:
        return self._breaker.state(time.monotonic())

    def admit(self, at_last: bool = False) -> bool:
        """``at_last``: nobody else can, so it is asked whatever is thought of it."""
        self._breaker, admitted = self._breaker.admit(time.monotonic())
        return admitted or at_last

    def failed(self, error: RehydrationError) -> None:
        """Only silence and breakage count against a region: to refuse is to be there."""
        if isinstance(error, RegionUnavailable):
            self._breaker = self._breaker.failed(time.monotonic())
        else:
            self._breaker = self._breaker.succeeded()

    def answered(self, took_s: float) -> None:
        self._breaker = self._breaker.succeeded()
        self._latencies.note(took_s)

    def late_after_s(self) -> float | None:
        return self._latencies.late_after_s()


class Regions:
    """``counted`` is told (region, result) of every call; ``hedged`` of every second peer that was
    asked because the first was late."""

    def __init__(
        self,
        urls: Sequence[str],
        rules: Rules,
        trusted: ssl.SSLContext,
        counted: Counted,
        *,
        concurrency: int,
        body_limit_bytes: int,
        hedged: Callable[[str], None] = lambda peer: None,
    ) -> None:
        self.all = tuple(
            Region(
                KeptConnections(url, trusted, body_limit_bytes=body_limit_bytes),
                url,
                rules,
                concurrency,
            )
            for url in urls
        )
        self._counted = counted
        self._hedged = hedged
        self._hedges = Bucket()

    async def rehydrate(
        self,
        site: Property,
        record: Record,
        rendition: Still,
        late: Callable[[], None],
        deadline_s: float | None = None,
    ) -> Generated:
        """The approved image from the nearest region that can, within ``deadline_s``, or else the
        property's deadline. With a deadline of its own it is the last resort: regions that failed
        lately are asked, too.

        A region that is late has company: the next one is asked as well, or ``late`` is called
        where there is none, and the first good answer counts. Raises what the last region asked
        said; :class:`RegionUnavailable` when none was asked.
        """
        if deadline_s is None:  # else this miss has been counted before
            self._hedges = self._hedges.earned()
        until = time.monotonic() + (deadline_s or site.region_deadline_ms / 1000)
        calls: set[asyncio.Task[Generated]] = set()
        at_last = deadline_s is not None
        try:
            return await self._first_good(calls, site, record, rendition, until, late, at_last)
        finally:
            for call in calls:
                call.add_done_callback(_unneeded)
                call.cancel()

    async def _first_good(
        self,
        calls: set[asyncio.Task[Generated]],
        site: Property,
        record: Record,
        rendition: Still,
        until: float,
        late: Callable[[], None],
        at_last: bool,
    ) -> Generated:
        """``calls`` holds those under way."""
        last: RehydrationError = RegionUnavailable("no region is up; not asked")
        waiting = iter(self.all)
        hedge_after_s: float | None = None

        def ask_next() -> Region | None:
            for region in waiting:
                left_s = until - time.monotonic()
                if left_s >= _WORTHWHILE_S and region.admit(at_last):
                    asking = self._ask(region, site, record, rendition, left_s)
                    calls.add(asyncio.create_task(asking))
                    return region
            return None

        while True:
            if not calls:
                asked = ask_next()
                if asked is None:
                    raise last
                hedge_after_s = asked.late_after_s()
            done, _ = await asyncio.wait(
                calls, timeout=hedge_after_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                hedge_after_s = None
                self._hedge(ask_next, late)
            for call in done:
                calls.discard(call)
                try:
                    return call.result()
                except (Unavailable, ModelError) as error:
                    last = error

    def _hedge(self, ask_next: Callable[[], Region | None], late: Callable[[], None]) -> None:
        """Ask one more, if hedges have not cost their share yet."""
        self._hedges, granted = self._hedges.spent()
        if not granted:
            return
        other = ask_next()
        self._hedged("origin" if other is None else other.url)
        if other is None:
            late()

    async def _ask(
        self, region: Region, site: Property, record: Record, rendition: Still, left_s: float
    ) -> Generated:
        # Another answer may come first: being left says nothing of a region.
        result, begun = "abandoned", time.monotonic()
        try:
            async with region.gate.passage():
                made = await self._call(region, site, record, rendition, left_s)
        except RehydrationError as error:
            result = error.reason
            if not isinstance(error, Overloaded):
                region.failed(error)
            raise
        else:
            result = "ok"
            region.answered(time.monotonic() - begun)
            return made
        finally:
            self._counted(region.url, result)

    async def _call(
        self, region: Region, site: Property, record: Record, rendition: Still, left_s: float
    ) -> Generated:
        # A region that is only slow gets to say so, and does not look dead.
        deadline_ms = int(left_s * _TOLD_SHARE * 1000)
        wanted = RehydrateRequest.make(
            site.id, record.body.key, record.signed, rendition, deadline_ms
        )
        try:
            told = await region.kept.post(
                REHYDRATE_PATH,
                wanted.encode(),
                (_CONTENT_TYPE, *onward()),
                within_s=left_s,
                connect_within_s=left_s * _CONNECT_SHARE,
            )
        except OSError as error:
            why = str(error) or type(error).__name__
            raise RegionUnavailable(f"region {region.url}: {why}") from error
        return read_answer(region.url, told, rendition)

    async def connect(self, count: int, within_s: float) -> None:
        """Have ``count`` connections to each region that takes them ``within_s``."""

        async def one(region: Region) -> None:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(within_s):
                    await region.kept.open(count)

        await asyncio.gather(*(one(region) for region in self.all))

    def close(self) -> None:
        for region in self.all:
            region.kept.close()


def _unneeded(call: asyncio.Task[Generated]) -> None:
    """Look at what came of it, or asyncio would complain that nobody did."""
    if not call.cancelled():
        call.exception()


def read_answer(url: str, told: Told, rendition: Still) -> Generated:
    """An image of the type asked for, or the error that the region means."""
    fields = told.fields
    if told.status == 200:
        media_type = fields.get("content-type", "").partition(";")[0].strip()
        if media_type != rendition.media_type or not told.body:
            raise RegionUnavailable(f"region {url}: {len(told.body)} bytes of {media_type!r}")
        timings = parse_server_timing(fields.get("server-timing", ""))
        missed = fields.get("rendition-cache") != "hit"
        return Generated(told.body, seconds(fields.get("age")) or 0, timings, missed)
    try:
        said = msgspec.json.decode(told.body, type=ErrorBody)
    except UNREADABLE:
        said = ErrorBody("region", "no error body")
    if said.error == Busy.reason:
        raise Busy(f"region {url}: {said.detail}", seconds(fields.get("retry-after")) or 1)
    kind = _SAYINGS.get(said.error, RegionUnavailable)
    raise kind(f"region {url}: {told.status} {said.error}: {said.detail}")
