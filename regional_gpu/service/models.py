"""The models of a region: held in memory by an LRU of bytes, kept on disk, fetched at first use."""

import asyncio
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from httpx2 import AsyncClient

from kvsync.errors import ModelError, OriginUnavailable, RehydrationError
from kvsync.flights import Flights
from kvsync.model import ModelAnnouncement
from kvsync.record import Record
from kvsync.signing import Envelope, Keyring
from kvsync.wire import Hold
from regional_gpu.generator.load import Generator
from regional_gpu.service.calibration import Calibration
from regional_gpu.service.download import (
    announcement_file,
    clear_incoming,
    download,
    model_folder,
)
from regional_gpu.service.generation import is_whole
from regional_gpu.service.lru import ByteLru
from regional_gpu.service.metrics import RegionMetrics
from regional_gpu.service.schedule import Pace

log = logging.getLogger("region")

Result = TypeVar("Result")

# A model that was refused is not fetched again at once: it would keep the link busy.
REFUSAL_SECONDS = 5.0


@dataclass(frozen=True)
class ModelPlace:
    """Where models come from, lie and may weigh."""

    origin: AsyncClient
    keys: Keyring
    folder: Path
    memory_bytes: int
    disk_bytes: int
    # Other regions, asked for what the origin does not give.
    neighbours: tuple[AsyncClient, ...] = ()
    # Told the bytes that came, by property.
    carried: Callable[[str, int], None] = lambda property, size: None


class Models:
    """Generators by model digest; ``held`` are those in memory.

    ``load`` reads a model folder on a thread of its own, so that bringing one family in does not
    stall another's generation.
    """

    def __init__(
        self,
        place: ModelPlace,
        load: Callable[[Path, bytes], Generator],
        calibration: Calibration,
        prepare_thread: Callable[[], None],
        pace: Pace,
        metrics: RegionMetrics,
    ) -> None:
        self._place, self._load, self._pace, self._metrics = place, load, pace, metrics
        self.calibration = calibration
        self.held: ByteLru[Generator] = ByteLru(place.memory_bytes)
        self._bringing: Flights[tuple[bytes, str], Generator] = Flights()
        self._refused: dict[tuple[bytes, str], tuple[float, str]] = {}
        # Calibrates too: with as many threads as generation has, or the sums come out otherwise.
        self._thread = ThreadPoolExecutor(1, "model-loader", initializer=prepare_thread)
        metrics.models_held.set_function(lambda: self.held.bytes_held)
        clear_incoming(place.folder)

    async def get(self, digest: bytes, property: str) -> Generator:
        """The generator, from memory, disk or origin, in that order.

        Raises :class:`ModelError`, also when the model failed its calibration here, or
        :class:`kvsync.errors.OriginUnavailable`.
        """
        self.calibration.demand(digest)
        held = self.held.get(digest)
        if held is not None:
            return held
        name = (digest, property)
        until, refusal = self._refused.get(name, (0.0, ""))
        if time.monotonic() < until:
            raise ModelError(refusal)
        task = self._bringing.get(name) or self._bringing.begin(name, self._bring(*name))
        return await asyncio.shield(task)

    async def hold(self, digest: bytes, property: str, sample: Hold) -> Generator:
        """Bring a model in and calibrate it by ``sample``, also after it was refused before.

        Raises what :meth:`get` does, or a :class:`kvsync.errors.RecordError`.
        """
        records = self.calibration.verify(sample, digest, property)
        if not records:
            return await self.get(digest, property)
        self._refused.pop((digest, property), None)
        await self._bring_payloads(property, records)
        # Before the model is here: whoever brings it in meanwhile calibrates by this sample.
        await self._on_thread(self.calibration.keep_sample, digest, records)
        generator = await self.get(digest, property)
        await self._on_thread(self.calibration.calibrate, generator)
        return generator

    async def _bring_payloads(self, property: str, records: Iterable[Record]) -> None:
        """Of what a model is calibrated by; :class:`ModelError` for one that cannot be brought."""
        kept = (record.body.recipe.kept for record in records)
        missing = await self.calibration.payloads.hold(property, filter(None, kept))
        if missing:
            raise ModelError("; ".join(missing.values()))

    def matched(self, record: Record) -> None:
        """A picture was the approved one: the first of a model without a sample becomes it."""
        digest = record.body.recipe.model
        if digest not in self.calibration.verdicts and not self.calibration.has_sample(digest):
            self.calibration.keep_sample(digest, (record,))

    async def drop(self, digest: bytes) -> bool:
        """Take a model out of memory and off the disk; False when it was not here."""
        known = digest in self.held or model_folder(self._place.folder, digest).exists()
        self.held.drop(digest)
        await self._on_thread(self._remove, digest)
        return known

    @property
    def folder(self) -> Path:
        """Where models lie on disk."""
        return self._place.folder

    def states(self) -> dict[str, str]:
        """Calibration of each model on this region's disk, by digest in hex."""
        digests = [path.stem for path in _by_last_use(self._place.folder)]
        return {digest: self.calibration.state(bytes.fromhex(digest)) for digest in digests}

    def bytes_on_disk(self) -> dict[str, int]:
        """Of the models there, by the property that they were announced for."""
        by_property: Counter[str] = Counter()
        for path in self._place.folder.glob("*.announcement"):
            with suppress(FileNotFoundError, RehydrationError):  # It may be dropped just now.
                site = _claimed(path.read_bytes(), path.stem).property
                by_property[site] += _folder_bytes(path.with_suffix(""))
        return dict(by_property)

    def ready_s(self, digest: bytes) -> float:
        """How long until ``get`` should have it: 0 when it is in memory or was never measured."""
        return 0.0 if digest in self.held else self._pace.expected(("model", digest))

    async def preload(self) -> None:
        """Load what the disk has, last used first, as far as memory reaches."""
        room = self._place.memory_bytes
        for path in _by_last_use(self._place.folder):
            room -= _folder_bytes(path.with_suffix(""))
            if room < 0:
                return
            digest = bytes.fromhex(path.stem)
            try:
                generator = await self._from_disk(digest)
                if generator is not None:
                    await self._on_thread(self.calibration.calibrate, generator)
                    self._hold(digest, generator)
            except ModelError as error:
                # One model that this region cannot serve must not keep it from serving others.
                log.error("%s", error)

    async def close(self) -> None:
        await self._bringing.close()
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _bring(self, digest: bytes, property: str) -> Generator:
        began = time.monotonic()
        try:
            generator = await self._from_disk(digest) or await self._fetched(digest, property)
            await self._on_thread(self.calibration.calibrate, generator)
            self._hold(digest, generator)
        except ModelError as error:
            self._refuse((digest, property), str(error))
            log.error("%s", error)
            raise
        self._refused.pop((digest, property), None)
        self._pace.measured(("model", digest), time.monotonic() - began)
        return generator

    def _refuse(self, name: tuple[bytes, str], why: str) -> None:
        now = time.monotonic()
        # Whoever asks for ever new digests must not fill the memory with refusals.
        self._refused = {one: said for one, said in self._refused.items() if said[0] > now}
        self._refused[name] = (now + REFUSAL_SECONDS, why)

    async def _from_disk(self, digest: bytes) -> Generator | None:
        """What the disk has, if a key that is still trusted vouches for it and it is undamaged.

        :class:`ModelError` when it is whole and yet refused: fetching it again would not help.
        """
        announcement = announcement_file(self._place.folder, digest)
        folder = model_folder(self._place.folder, digest)
        try:
            _vouched(announcement.read_bytes(), self._place.keys, digest)
        except FileNotFoundError:
            return None
        except RehydrationError as error:
            log.warning("a model on disk is not used: %s", error)
            return None
        try:
            generator = await self._loaded(digest)
        except ModelError as error:
            if await asyncio.to_thread(is_whole, folder, digest):
                raise
            log.warning("a model on disk is damaged and will be fetched again: %s", error)
            return None
        os.utime(announcement)
        return generator

    async def _fetched(self, digest: bytes, property: str) -> Generator:
        place = self._place
        await self._download(digest, property)
        size = _folder_bytes(model_folder(place.folder, digest))
        self._metrics.model_downloads.inc()
        self._metrics.model_bytes.inc(size)
        self._trim_disk(keep=digest)
        return await self._loaded(digest)

    async def _download(self, digest: bytes, property: str) -> None:
        """From the origin, or else from another region; raises what the origin's fault was."""
        place = self._place
        faults: list[ModelError | OriginUnavailable] = []
        for source in (place.origin, *place.neighbours):
            try:
                await download(
                    source,
                    place.folder,
                    digest,
                    property=property,
                    keys=place.keys,
                    max_bytes=place.disk_bytes,
                    carried=partial(place.carried, property),
                )
                return
            except (ModelError, OriginUnavailable) as error:
                log.warning("%s: %s", source.base_url, error)
                faults.append(error)
        raise faults[0]

    async def _loaded(self, digest: bytes) -> Generator:
        folder, load = model_folder(self._place.folder, digest), self._metrics.device.load
        return await self._on_thread(load, self._load, folder, digest)

    async def _on_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)

    def _hold(self, digest: bytes, generator: Generator) -> None:
        if generator.size_bytes > self._place.memory_bytes:
            raise ModelError(
                f"model {digest.hex()[:8]}: needs {generator.size_bytes} bytes of memory, more "
                f"than the {self._place.memory_bytes} that REGION_MODEL_MEMORY_BYTES allows"
            )
        for left in self.held.put(digest, generator, generator.size_bytes):
            log.info("model %s leaves memory for %s", left.hex()[:8], digest.hex()[:8])

    def _trim_disk(self, keep: bytes) -> None:
        room = self._place.disk_bytes
        kept = announcement_file(self._place.folder, keep)
        for path in sorted(_by_last_use(self._place.folder), key=lambda path: path != kept):
            room -= _folder_bytes(path.with_suffix(""))
            if room < 0:
                self._remove(bytes.fromhex(path.stem))

    def _remove(self, digest: bytes) -> None:
        announcement_file(self._place.folder, digest).unlink(missing_ok=True)
        shutil.rmtree(model_folder(self._place.folder, digest), ignore_errors=True)
        self.calibration.forget(digest)


def _vouched(signed: bytes, keys: Keyring, digest: bytes) -> None:
    """Demand that a trusted key announced the model for some property; :class:`ModelError`."""
    claimed = _claimed(signed, digest.hex())
    ModelAnnouncement.from_signed(signed, keys, property=claimed.property, digest=digest)


def _claimed(signed: bytes, name: str) -> ModelAnnouncement:
    """What an announcement says, whoever signed it; :class:`ModelError` for none."""
    try:
        return msgspec.msgpack.decode(Envelope.parse(signed).body, type=ModelAnnouncement)
    except msgspec.MsgspecError as error:
        raise ModelError(f"model {name[:8]}: its announcement is damaged") from error


def _by_last_use(models: Path) -> list[Path]:
    """The announcements on disk, those of the models last loaded first."""
    return sorted(models.glob("*.announcement"), key=lambda path: -path.stat().st_mtime)


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
