"""Record to image: verify, look, wait for a turn, generate, check, encode, keep, answer."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from kvsync.errors import BadRequest, FingerprintMismatch, RevokedRecord, StoreUnavailable
from kvsync.flights import Flights
from kvsync.property import Property
from kvsync.record import Record, Tombstone
from kvsync.rendition import Rendition
from kvsync.renewals import Renewals, demand_renewed
from kvsync.signing import Keyring
from kvsync.store import RecordStore
from kvsync.wire import (
    MAX_PAYLOADS_AT_ONCE,
    Hold,
    PayloadList,
    PayloadsHeld,
    Purge,
    RehydrateRequest,
)
from regional_gpu.generator.encode import PROVENANCE_BYTES, Encoded, encode
from regional_gpu.generator.load import Generator
from regional_gpu.service.batcher import Batcher
from regional_gpu.service.device_time import Account, Part
from regional_gpu.service.generation import Pixels, check, check_delivered
from regional_gpu.service.ledger import RegionLedger
from regional_gpu.service.metrics import RegionMetrics, model_label
from regional_gpu.service.models import Models
from regional_gpu.service.passing_on import held_announcement, held_file
from regional_gpu.service.payloads import Payloads
from regional_gpu.service.renditions import (
    KeptImage,
    Renditions,
    demand_offered,
    rendition_name,
)
from regional_gpu.service.schedule import Pace, Ticket, too_late

log = logging.getLogger("region")

MAX_DEADLINE_MS = 600_000
_DIGEST = re.compile("[0-9a-f]{64}")

Stages = Mapping[str, float]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Picture:
    """Checked pixels, (height, width, 3); seconds per stage so far, and the device's."""

    pixels: Pixels
    generator: Generator
    generated_at: float
    stages: Stages
    device_s: float


@dataclass(frozen=True)
class Answer:
    """One rendition; ``stages`` are seconds, ``cached`` is whether the region had it, or made it
    for somebody else. ``device_s`` is what the device did for it alone."""

    image: KeptImage
    stages: Stages
    cached: bool
    device_s: float = 0.0


@dataclass
class Region:
    """The regional service without its HTTP."""

    name: str
    keys: Keyring
    properties: Mapping[str, Property]
    models: Models
    payloads: Payloads
    batcher: Batcher
    renditions: Renditions
    pace: Pace
    metrics: RegionMetrics
    # One in so many renditions is decoded again and compared.
    decoded_check_every: int
    # The store that tells what was revoked, whichever edge asks.
    store: RecordStore | None
    ledger: RegionLedger
    ready: bool = False
    renewals: Renewals | None = field(init=False)
    _pictures: Flights[bytes, Picture] = field(default_factory=Flights)
    _deliveries: Flights[bytes, Answer] = field(default_factory=Flights)
    _tickets: dict[bytes, Ticket] = field(default_factory=dict)
    _encoded: Iterator[int] = field(default_factory=count)
    _encoders: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(os.cpu_count() or 1, "encoder")
    )

    def __post_init__(self) -> None:
        self.renewals = None if self.store is None else Renewals(self.store, self.keys)

    async def rehydrate(self, request: RehydrateRequest) -> Answer:
        """Answer within ``request.deadline_ms`` of now, or raise.

        Raises :class:`BadRequest`, a :class:`kvsync.errors.RecordError`,
        :class:`kvsync.errors.ModelError`, :class:`kvsync.errors.OriginUnavailable`,
        :class:`kvsync.errors.Busy`, :class:`kvsync.errors.StoreUnavailable` or
        :class:`FingerprintMismatch`.
        """
        began = time.monotonic()
        deadline = began + _patience_s(request)
        record = Record.from_signed(
            request.signed,
            self.keys,
            key=request.key,
            property=request.property,
            now=time.time(),
        )
        still = self._wanted(request)
        await self._demand_renewed(self.properties[request.property])
        kept = self.renditions.get(rendition_name(record, still))
        if kept is not None:
            answer = Answer(kept, {"cache": time.monotonic() - began}, cached=True)
        else:
            await self._demand_in_force(record)
            delivery, shared = self._delivery(record, still, deadline)
            answer = await _in_time(delivery, deadline)
            if shared:
                answer = replace(answer, cached=True, device_s=0.0)
        self._count(answer)
        return answer

    async def _demand_renewed(self, site: Property) -> None:
        """:class:`kvsync.errors.NotRenewed` where too long ago was heard of what is revoked."""
        if self.renewals is None:
            return
        try:
            until = (await self.renewals.look(site.id)).until
        except StoreUnavailable:
            until = self.renewals.last(site.id)
        demand_renewed(site, until, time.time())

    async def _demand_in_force(self, record: Record) -> None:
        """:class:`RevokedRecord` for what a tombstone in the store took back.

        Raises :class:`kvsync.errors.StoreUnavailable` when that cannot be known, unless the
        property's log was followed until lately: then the bound counts.
        """
        if self.store is None or self.renewals is None:
            return
        body = record.body
        try:
            signed = (await self.store.get(body.property, body.key)).tombstone
        except StoreUnavailable:
            if self.renewals.last(body.property) is None:
                raise
            return
        if signed is None:
            return
        buried = Tombstone.from_signed(signed, self.keys, key=body.key, property=body.property)
        if body.seq <= buried.seq:
            raise RevokedRecord(f"record {body.seq} was revoked by tombstone {buried.seq}")

    def purge(self, purge: Purge) -> int:
        """Drop kept renditions by tag, or all; how many there were."""
        return self.renditions.purge(purge.tags, everything=purge.everything)

    async def hold(self, property: str, digest: str, sample: Hold) -> int:
        """Bring a model (its digest in hex) into memory, calibrated; its bytes there."""
        self._demand_served(property)
        return (await self.models.hold(_parse_digest(digest), property, sample)).size_bytes

    async def change_payloads(self, property: str, asked: PayloadList) -> PayloadsHeld:
        """Drop payloads and fetch others; :class:`BadRequest` for a property of elsewhere."""
        self._demand_served(property)
        if max(len(asked.hold), len(asked.drop)) > MAX_PAYLOADS_AT_ONCE:
            raise BadRequest(f"more than {MAX_PAYLOADS_AT_ONCE} payloads at once")
        await asyncio.to_thread(self.payloads.drop, property, asked.drop)
        return PayloadsHeld(await self.payloads.hold(property, asked.hold))

    def held_payloads(self, property: str) -> PayloadList:
        """The payloads of a property on this region's disk."""
        self._demand_served(property)
        return PayloadList(self.payloads.held(property))

    def payload(self, property: str, digest: str) -> bytes:
        """One of them, for another region."""
        self._demand_served(property)
        return self.payloads.read(property, _parse_digest(digest))

    def announcement(self, digest: str) -> bytes:
        """The signed announcement of a model held here, for another region."""
        return held_announcement(self.models.folder, _parse_digest(digest))

    def model_file(self, digest: str, path: str) -> Path:
        """Where a file of such a model lies."""
        return held_file(self.models.folder, _parse_digest(digest), path)

    async def drop(self, digest: str) -> bool:
        """Let a model go that no record needs any more; False when it was not here."""
        return await self.models.drop(_parse_digest(digest))

    @property
    def offers(self) -> bool:
        """Ready, and not every model that it has was refused by calibration."""
        refused = [bool(one.refusal) for one in self.models.calibration.verdicts.values()]
        return self.ready and not (refused and all(refused))

    async def start(self) -> None:
        """Take work now; ``ready`` once the models on disk are in memory."""
        await self.batcher.start()
        await self.models.preload()
        self.ready = True
        self.ledger.ready()

    async def close(self) -> None:
        await self._deliveries.close()
        await self._pictures.close()
        await self.batcher.close()
        await self.models.close()
        await self.payloads.close()
        self._encoders.shutdown(wait=True, cancel_futures=True)
        self.renditions.close()
        self.ledger.minutes.cut()
        if self.store is not None:
            await self.store.close()

    def _demand_served(self, property: str) -> None:
        if property not in self.properties:
            raise BadRequest(f"property {property[:80]!r} is not served in region {self.name!r}")

    def _wanted(self, request: RehydrateRequest) -> Rendition:
        self._demand_served(request.property)
        site = self.properties[request.property]
        still = request.parse_rendition()
        demand_offered(still, site)
        return still

    def _delivery(
        self, record: Record, still: Rendition, deadline: float
    ) -> tuple["asyncio.Task[Answer]", bool]:
        """The delivery under way that this request can share, and True, or a new one.

        Renditions of one record share its picture while that is being made. No await in here:
        nothing lands or starts between looking and beginning.
        """
        name = rendition_name(record, still)
        delivery = self._deliveries.get(name)
        picture = self._pictures.get(record.digest)
        if picture is not None:
            self._tickets[record.digest].share(deadline)
        if delivery is not None:
            return delivery, True
        first = picture is None
        if picture is None:
            ticket = self._admit(record, still, deadline)
            self._tickets[record.digest] = ticket
            picture = self._pictures.begin(record.digest, self._picture(record, ticket))
        return self._deliveries.begin(name, self._deliver(record, still, picture, first)), False

    def _admit(self, record: Record, still: Rendition, deadline: float) -> Ticket:
        recipe = record.body.recipe
        return self.batcher.admit(
            recipe,
            deadline,
            model_ready_s=self.models.ready_s(recipe.model),
            finish_s=self.pace.expected(("finish", still.format, still.width)),
        )

    async def _picture(self, record: Record, ticket: Ticket) -> Picture:
        """Generate and check: what comes out is the approved image."""
        body = record.body
        try:
            recipe = await self.payloads.filled(body.property, body.recipe)
            generator = await self.models.get(body.recipe.model, body.property)
            account = _account(record)
            generated = await self.batcher.picture(ticket, generator, recipe, account)
            self.batcher.leave(ticket)
            generated_at, began = time.time(), time.monotonic()
            await self._off_loop(account, "check", check, generated.pixels, generator, record)
            self.models.matched(record)
        except FingerprintMismatch as error:
            self.metrics.mismatches.labels(model_label(body.recipe.model)).inc()
            log.warning("%s", error)
            raise
        finally:
            self.batcher.leave(ticket)
            del self._tickets[record.digest]
        self.metrics.generated_images.labels(body.property).inc()
        stages = {
            "queue": generated.queue_s,
            "generate": generated.generate_s,
            "check": time.monotonic() - began,
        }
        return Picture(generated.pixels, generator, generated_at, stages, generated.device_s)

    async def _deliver(
        self, record: Record, still: Rendition, picture: "asyncio.Task[Picture]", first: bool
    ) -> Answer:
        """Resize, encode and keep one rendition of a picture; the ``first`` pays for it."""
        seen_purges = self.renditions.purges
        made = await asyncio.shield(picture)
        began = time.monotonic()
        account = _account(record)
        encoded: Encoded = await self._off_loop(account, "encode", encode, made.pixels, still)
        encode_s = time.monotonic() - began
        check_s = await self._check_delivered(record, made, encoded.data)
        image = KeptImage(encoded.media_type, made.generated_at, encoded.data)
        self.renditions.put(rendition_name(record, still), record, image, seen_purges=seen_purges)
        stages = {**made.stages, "encode": encode_s}
        stages["check"] += check_s
        for stage, seconds in stages.items():
            self.metrics.stage(stage, seconds)
        self.pace.measured(("finish", still.format, still.width), stages["check"] + encode_s)
        return Answer(image, stages, cached=False, device_s=made.device_s if first else 0.0)

    async def _check_delivered(self, record: Record, made: Picture, data: bytes) -> float:
        """Decode one in so many files and compare it; the seconds that took."""
        if next(self._encoded) % self.decoded_check_every:
            return 0.0
        began = time.monotonic()
        try:
            decoded = data, made.pixels, made.generator, record
            await self._off_loop(_account(record), "check", check_delivered, *decoded)
        except FingerprintMismatch as error:
            self.metrics.decoded_checks.labels("refused").inc()
            self.metrics.mismatches.labels(model_label(record.body.recipe.model)).inc()
            log.warning("%s", error)
            raise
        self.metrics.decoded_checks.labels("passed").inc()
        return time.monotonic() - began

    async def _off_loop(
        self, account: Account, part: Part, work: Callable[..., Result], *arguments: object
    ) -> Result:
        loop, run = asyncio.get_running_loop(), self.metrics.device.run
        return await loop.run_in_executor(self._encoders, run, account, part, work, *arguments)

    def _count(self, answer: Answer) -> None:
        self.metrics.renditions.labels("hit" if answer.cached else "miss").inc()
        self.metrics.rendition_bytes.inc(len(answer.image.data))
        self.metrics.provenance_bytes.inc(PROVENANCE_BYTES)


def _account(record: Record) -> Account:
    return Account(record.body.property, record.body.family)


def _patience_s(request: RehydrateRequest) -> float:
    if not 0 <= request.deadline_ms <= MAX_DEADLINE_MS:
        raise BadRequest(f"deadline_ms is 0 to {MAX_DEADLINE_MS}, not {request.deadline_ms}")
    return request.deadline_ms / 1_000


def _parse_digest(digest: str) -> bytes:
    if not _DIGEST.fullmatch(digest):
        raise BadRequest(f"{digest[:80]!r} is no digest")
    return bytes.fromhex(digest)


async def _in_time(task: "asyncio.Task[Answer]", deadline: float) -> Answer:
    """What ``task`` makes, or ``Busy`` at the deadline; it goes on and is kept."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await asyncio.shield(task)
    except TimeoutError as error:
        raise too_late(time.monotonic(), deadline) from error
