"""A region's agent: its followers, and what goes on beside them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import httpx2

from kvsync.agent.caches import Caches
from kvsync.agent.follower import Follower
from kvsync.agent.held import HeldProperty
from kvsync.agent.ledger import LedgerAgent
from kvsync.agent.metrics import CLOCK, SETTINGS, SyncMetrics
from kvsync.agent.models import Models
from kvsync.agent.news import News
from kvsync.agent.original_files import OriginalFiles
from kvsync.agent.payloads import Payloads
from kvsync.agent.renewal import Renewal
from kvsync.agent.replica import Replica
from kvsync.agent.settings import SyncSettings
from kvsync.agent.source import Origin, heartbeat_of
from kvsync.agent.transport import Transport
from kvsync.errors import InputError, RecordError, RehydrationError, StoreUnavailable
from kvsync.ledger import Carried
from kvsync.property import read_property
from kvsync.report import MAX_DIFFERING, PropertyReport, RegionReport
from kvsync.signing import Keyring
from kvsync.spool import Spool
from kvsync.store import RecordStore, ValkeyStore

_log = logging.getLogger("sync")

# Between two reports: on a busy machine reporting must not take the time of what it is about.
_LEAST_REPORT_S, _BUSY = 0.02, 4
# Before a comparison that failed is tried again.
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class Agent:
    """One region: :meth:`run` goes on until it is cancelled."""

    def __init__(
        self, settings: SyncSettings, keys: Keyring, store: RecordStore, client: httpx2.AsyncClient
    ) -> None:
        self.settings = settings
        self.metrics = SyncMetrics()
        self._store, self._client = store, client
        self.ledger = _ledger(settings, store, client)
        token = settings.token.get_secret_value()
        self._origin = Origin(client, settings.origin_url, token, self.ledger.carried)
        self._models = Models(client, settings.region_urls, self._model_came)
        self._payloads = Payloads(client, settings.region_urls, self._came)
        self.followers: dict[str, Follower] = {}
        self.replicas: dict[str, Replica] = {}
        self._caches: dict[str, Caches] = {}
        self._news = News()
        self._reported_at = 0.0
        self._asked: dict[str, int] = {}
        self.clock_offset_s = 0.0
        for property in settings.properties:
            self._follow(property, keys)

    @property
    def ready(self) -> bool:
        return all(one.ready for one in self.followers.values())

    async def run(self) -> None:
        work: list[Coroutine[Any, Any, None]] = [
            self._report_always(),
            self.ledger.run(self._origin),
            self._let_go_of_others(),
        ]
        for property, follower in self.followers.items():
            caches = self._caches[property]
            if property in self.replicas:
                work.append(self.replicas[property].run())
            work += [
                self._start(property),
                caches.run(),
                self._compare_always(follower),
                self._relay_always(follower),
            ]
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)

    def exposition(self) -> bytes:
        """What ``/metrics`` says: how late a region is grows while it hears nothing."""
        for property, follower in self.followers.items():
            if renewed_at_ms := follower.renewal.at_ms:
                late_s = max(0.0, time.time() - renewed_at_ms / 1_000)
                self.metrics.lag.labels(property).set(late_s)
        return self.metrics.exposition()

    async def close(self) -> None:
        self.ledger.minutes.cut()
        await self._models.close()
        await self._payloads.close()
        for follower in self.followers.values():
            await follower.close()
        await self._store.close()

    def _follow(self, property: str, keys: Keyring) -> None:
        settings = self.settings

        def confirmed(seq: int) -> None:
            self._news.of(property)

        caches = Caches(self._client, (settings.region_urls, settings.edge_admins), confirmed)
        replica = self._replica(property)
        held = HeldProperty(
            property,
            settings.region,
            self._store,
            keys,
            self._models,
            self._payloads,
            self.metrics,
            caches.drop,
            settings.properties_dir,
            replica,
        )
        self.metrics.follow(property)
        self._caches[property] = caches
        self.followers[property] = Follower(
            held,
            self._origin,
            keys,
            Renewal(property, self._store, keys),
            self.metrics,
            self._news,
            poll_s=settings.poll_s,
        )

    def _replica(self, property: str) -> Replica | None:
        """What the region keeps of the property's originals, if it keeps any."""
        settings, ledger = self.settings, self.ledger
        if settings.replica_dir is None or settings.properties_dir is None:
            return None
        replica = Replica(
            property,
            OriginalFiles(settings.replica_dir / property),
            self._store,
            self._origin,
            self.metrics,
            max_bytes=settings.replica_bytes,
            carried=partial(ledger.meter.add, Carried, (property, "replica")),
            kept=partial(ledger.keeps, property, "replica"),
        )
        file = settings.properties_dir / f"{property}.toml"
        try:
            if file.exists():
                replica.configure(read_property(file).ways)
        except InputError as error:
            _log.error("the log has to say first which originals are kept: %s", error)
            self.metrics.refuse(property, SETTINGS)
        self.replicas[property] = replica
        return replica

    async def _start(self, property: str) -> None:
        """Follow; first have caches drop what a killed agent may not have told them."""
        follower, caches = self.followers[property], self._caches[property]
        await follower.patiently(follower.resume)
        held = follower.held
        caches.start_from(held.purged_seq)
        if held.purged_seq != held.cursor.seq:
            caches.drop((property,), held.cursor.seq)
        await follower.run()

    async def _let_go_of_others(self) -> None:
        """Have nothing in the store of properties that this region does not serve any more."""
        while True:
            try:
                for property in await self._store.properties():
                    if property not in self.followers:
                        _log.warning("%s: not served here; what was held is removed", property)
                        await self._store.remove(property)
                return
            except StoreUnavailable as error:
                _log.warning("what else the store holds is not known: %s", error)
            await asyncio.sleep(_LONGEST_PAUSE_S)

    async def _model_came(self, property: str, model: bytes) -> None:
        await self._came(property)

    async def _came(self, property: str) -> None:
        await self.followers[property].held.let_read()
        self._news.of(property)

    async def _compare_always(self, follower: Follower) -> None:
        every_s = self.settings.compare_s or None
        pause_s = _PAUSE_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await follower.behind.wait()
            follower.behind.clear()
            try:
                await follower.compare(self._asked.get(follower.property, 0))
                await follower.held.drop_unused_payloads()
                pause_s = _PAUSE_S
            except RehydrationError as error:
                _log.warning("%s: ranges were not compared: %s", follower.property, error)
                self.metrics.refuse(follower.property, error.reason)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                follower.behind.set()

    async def _relay_always(self, follower: Follower) -> None:
        """While the origin cannot be heard, another region may know that nothing happened."""
        patience_s = 2 * self.settings.poll_s + 1.0
        while self.settings.neighbours:
            await asyncio.sleep(self.settings.poll_s)
            if time.monotonic() - follower.heard_at < patience_s:
                continue
            for url in self.settings.neighbours:
                try:
                    signed = await heartbeat_of(self._client, url, follower.property)
                    if signed and await follower.renew(signed):
                        self.metrics.relayed.labels(follower.property).inc()
                except RecordError as error:
                    _log.error("%s: a heartbeat from %s: %s", follower.property, url, error)
                    self.metrics.refuse(follower.property, error.reason)
                except RehydrationError as error:
                    _log.warning("%s: no heartbeat from %s: %s", follower.property, url, error)

    async def _report_always(self) -> None:
        every_s = self.settings.report_s
        while True:
            news = await self._news.wait(every_s)
            begun = time.monotonic()
            everything = not news or begun - self._reported_at >= every_s
            try:
                await self._report(self.followers if everything else news)
            except RehydrationError as error:
                _log.warning("the origin did not take this region's report: %s", error)
                self._news.of(*news)
                await asyncio.sleep(every_s)
            else:
                self._reported_at = begun if everything else self._reported_at
            busy_s = _BUSY * (time.monotonic() - begun)
            await asyncio.sleep(min(max(_LEAST_REPORT_S, busy_s), every_s))

    async def _report(self, properties: Iterable[str]) -> None:
        reports = {name: await self._state_of(name) for name in properties}
        before = time.time()
        answer = await self._origin.report(
            RegionReport(self.settings.region, int(before * 1_000), reports)
        )
        self._clock(before, time.time(), answer.at_ms / 1_000)
        for property, request in answer.compare.items():
            follower = self.followers.get(property)
            if follower is not None and request > self._asked.get(property, 0):
                self._asked[property] = request
                follower.behind.set()

    async def _state_of(self, property: str) -> PropertyReport:
        follower, caches = self.followers[property], self._caches[property]
        held, compared = follower.held, follower.compared
        purged = min(caches.purged_seq, held.cursor.seq)
        if purged > held.purged_seq:
            await self._store.note(property, purged=purged)
            held.purged_seq = purged
        state = await self._store.state(property)
        self.metrics.held(property, state)
        self.metrics.unpurged.labels(property).set(len(caches.behind))
        return PropertyReport(
            seq=held.cursor.seq,
            readable_seq=held.readable_seq,
            purged_seq=purged,
            records=state.records + state.waiting,
            renewed_at_ms=follower.renewal.at_ms,
            lag_ms=follower.renewal.lag_ms,
            unpurged=caches.behind,
            compared_at_ms=compared.at_ms,
            compared_request=compared.request,
            differing_count=len(compared.differing),
            differing=tuple(key.hex() for key in compared.differing[:MAX_DIFFERING]),
            repaired_at_ms=compared.repaired_at_ms,
            refused=dict(self.metrics.refused.get(property, {})),
            replica=self.replicas[property].report() if property in self.replicas else None,
        )

    def _clock(self, before: float, after: float, theirs: float) -> None:
        """How far this clock is ahead of the origin's, told once when it is too far."""
        offset_s = (before + after) / 2 - theirs
        tolerance_s = self.settings.clock_tolerance_s + (after - before) / 2
        if abs(offset_s) > tolerance_s >= abs(self.clock_offset_s):
            _log.error("this clock and the origin's are %.1f s apart; set it right", offset_s)
            for property in self.followers:
                self.metrics.refuse(property, CLOCK)
        self.clock_offset_s = offset_s
        self.metrics.clock_offset.set(offset_s)


def _ledger(settings: SyncSettings, store: RecordStore, client: httpx2.AsyncClient) -> LedgerAgent:
    return LedgerAgent(
        settings.region,
        settings.properties,
        (*settings.edge_admins, *settings.region_urls),
        client,
        Spool(settings.ledger_dir, settings.ledger_keep_s),
        store.bytes_held,
        every_s=settings.ledger_s,
    )


@asynccontextmanager
async def built(settings: SyncSettings) -> AsyncIterator[Agent]:
    """An agent that is not running yet; raises :class:`kvsync.errors.InputError`."""
    keys = Keyring.read(settings.trusted_keys)
    store = ValkeyStore(settings.store_url, timeout_s=settings.store_timeout_ms / 1_000)
    async with httpx2.AsyncClient(
        transport=Transport(), trust_env=False, follow_redirects=False
    ) as client:
        agent = Agent(settings, keys, store, client)
        try:
            yield agent
        finally:
            await agent.close()
