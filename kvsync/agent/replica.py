"""A region's replica: the originals of families that are to be served from here, pulled once per
change and kept until nobody should be shown them any more.

Which they are is known from the log: the property's ways name the families, their records the
originals. An original is kept under its digest, so what an edge is given is what its record says or
nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import msgspec

from kvsync.agent.metrics import SyncMetrics
from kvsync.agent.original_files import OriginalFiles
from kvsync.agent.source import Origin
from kvsync.claims import claims_of
from kvsync.encoding import UNREADABLE
from kvsync.errors import MalformedRecord, RehydrationError, WrongAsset
from kvsync.property import Ways
from kvsync.ranges import RANGES
from kvsync.record import Original
from kvsync.replica import Fitting, ReplicaReport, fitting
from kvsync.store import RecordStore

_log = logging.getLogger("sync")

_AT_ONCE = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
Wanted = dict[bytes, Original]
"""By asset key: the originals to be kept."""


class Replica:
    """One property's; :meth:`run` goes on until it is cancelled.

    ``carried`` is told the bytes of each request to the origin and its answer, ``kept`` how many
    lie here.
    """

    def __init__(
        self,
        property: str,
        files: OriginalFiles,
        store: RecordStore,
        origin: Origin,
        metrics: SyncMetrics,
        *,
        max_bytes: int,
        carried: Callable[[int], None],
        kept: Callable[[int], None],
    ) -> None:
        self.property = property
        self._files, self._store, self._origin, self._metrics = files, store, origin, metrics
        self._max_bytes = max_bytes
        self._carried, self._kept = carried, kept
        # Nothing is dropped before it is known what is to be kept.
        self._families: frozenset[str] | None = None
        self._whole = self._look = False
        self._wanted: Wanted = {}
        # What changed while the store is looked through; None for an asset that is no more.
        self._meanwhile: dict[bytes, Original | None] | None = None
        self._more = asyncio.Event()
        self._fit = Fitting(frozenset())
        self._fault = ""

    def configure(self, ways: Mapping[str, Ways]) -> None:
        """Take over the property's ways."""
        families = frozenset(name for name, one in ways.items() if one.way == "replica")
        if families != self._families:
            self._families, self._look = families, True
            self._more.set()

    def look_again(self) -> None:
        """Find out from the store what there is: it is whole, and more may have changed than was
        told."""
        self._whole = self._look = True
        self._more.set()

    def note(self, records: Mapping[bytes, bytes], gone: Iterable[bytes]) -> None:
        """Signed records by asset key that are in force now, and keys that have none."""
        if not self._families:
            return
        if not self._whole:
            self.look_again()
        changes: dict[bytes, Original | None] = dict.fromkeys(gone)
        changes |= {key: self._original(signed) for key, signed in records.items()}
        if self._meanwhile is not None:
            self._meanwhile |= changes
        _change(self._wanted, changes)
        self._more.set()

    async def read(self, digest: bytes) -> bytes | None:
        """An original's bytes, None where it is not kept here."""
        was_held = digest in self._files.held
        found = await asyncio.to_thread(self._files.read, digest)
        if was_held and found is None:
            self._more.set()
        return found

    def report(self) -> ReplicaReport:
        held = self._files.held
        return ReplicaReport(
            len(held),
            self._files.bytes,
            len(self._fit.kept - held.keys()),
            self._fit.left_out,
            self._fit.left_out_bytes,
            self._fault or self._refusal(),
        )

    async def run(self) -> None:
        pause_s: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._more.wait()
            self._more.clear()
            try:
                await self._bring_up()
                self._fault, pause_s = "", None
            except RehydrationError as error:
                self._say(str(error))
                pause_s = min(2 * (pause_s or _FIRST_PAUSE_S / 2), _LONGEST_PAUSE_S)
            self._count()

    async def _bring_up(self) -> None:
        """Keep what there is to be kept and nothing else; raises what is in the way of the last
        original that could not be pulled, after all others were tried."""
        if self._families is None or not self._whole:
            return
        if self._look:
            self._look = False
            try:
                self._wanted = await self._look_through()
            except RehydrationError:
                self._look = True
                raise
        sizes = {one.digest: one.size for one in self._wanted.values()}
        before, self._fit = self._fit, fitting(sizes, self._files.held, self._max_bytes)
        if self._fit.left_out and self._fit.left_out != before.left_out:
            _log.error("%s: %s", self.property, self._refusal())
        await asyncio.to_thread(self._files.keep_only, self._fit.kept)
        self._count()
        missing = {
            one.digest: (key, one)
            for key, one in self._wanted.items()
            if one.digest in self._fit.kept and one.digest not in self._files.held
        }
        await self._pull_all(list(missing.values()))

    async def _look_through(self) -> Wanted:
        """All originals that the region's records name, of the families that count."""
        if not self._families:
            return {}
        self._meanwhile = {}
        try:
            found: Wanted = {}
            _change(found, self._originals(await self._store.waiting(self.property)))
            async for _, held in self._store.ranges(self.property, range(RANGES)):
                records = {key: one.record for key, one in held.items() if one.record is not None}
                _change(found, self._originals(records))
                await asyncio.sleep(0)
            _change(found, self._meanwhile)
            return found
        finally:
            self._meanwhile = None

    def _originals(self, records: Mapping[bytes, bytes]) -> dict[bytes, Original | None]:
        return {key: self._original(signed) for key, signed in records.items()}

    def _original(self, signed: bytes) -> Original | None:
        """What a record stands for, if its family's originals are kept."""
        try:
            claims = claims_of(signed)
            if claims.family not in (self._families or ()):
                return None
            return msgspec.msgpack.decode(claims.picture[0], type=Original)
        except (MalformedRecord, *UNREADABLE):
            return None  # It was counted where it was applied, and comes from the origin.

    async def _pull_all(self, missing: list[tuple[bytes, Original]]) -> None:
        failed: RehydrationError | None = None

        async def one_by_one() -> None:
            nonlocal failed
            # Where something changed meanwhile there is another list.
            while missing and not self._more.is_set():
                try:
                    await self._pull(*missing.pop())
                except RehydrationError as error:
                    failed = error
                self._kept(self._files.bytes)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(missing))):
                group.create_task(one_by_one())
        if failed is not None:
            raise failed

    async def _pull(self, key: bytes, original: Original) -> None:
        digest = original.digest
        begun = await asyncio.to_thread(self._files.begun, digest)
        after = begun if begun < original.size else 0
        tag, carried = original.validator, self._carried
        async with self._origin.original(self.property, key, after, tag, carried) as (at, pieces):
            await asyncio.to_thread(self._files.add, digest, b"", at)
            async for piece in pieces:
                if at + len(piece) > original.size:
                    break
                await asyncio.to_thread(self._files.add, digest, piece, at)
                at += len(piece)
        if not await asyncio.to_thread(self._files.finish, digest):
            raise WrongAsset(f"the origin has another original than record {key.hex()[:8]} names")
        self._metrics.pulled.labels(self.property).inc()

    def _refusal(self) -> str:
        fit = self._fit
        if not fit.left_out:
            return ""
        return (
            f"{fit.left_out} originals ({fit.left_out_bytes} bytes) do not fit beside the others "
            f"in {self._max_bytes} bytes: raise SYNC_REPLICA_BYTES"
        )

    def _say(self, fault: str) -> None:
        if fault != self._fault:
            _log.error("%s: originals are not kept: %s", self.property, fault)
        self._fault = fault

    def _count(self) -> None:
        report = self.report()
        self._metrics.replica(self.property, report)
        self._kept(report.bytes)


def _change(wanted: Wanted, changes: Mapping[bytes, Original | None]) -> None:
    for key, original in changes.items():
        if original is None:
            wanted.pop(key, None)
        else:
            wanted[key] = original
