"""Payloads of recipes that are too large for their records: on this region's disk, checked.

They are fetched like models, from the origin or else another region, and stay until nothing in the
region names them any more.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from httpx2 import AsyncClient, HTTPError

from kvsync.carried import carried_bytes
from kvsync.errors import InputError, ModelError, OriginUnavailable, RehydrationError
from kvsync.files import write_file
from kvsync.flights import Flights
from kvsync.record import KeptPayload, PromptRecipe
from kvsync.wire import PAYLOADS_PATH
from regional_gpu.service.metrics import RegionMetrics

log = logging.getLogger("region")

_AT_ONCE = 8


class PayloadNotHeld(ModelError):
    """Another region asks for what is not on this one's disk."""

    status = 404


@dataclass(frozen=True)
class PayloadPlace:
    """Where payloads come from, the origin first, where they lie and what all may weigh."""

    sources: tuple[AsyncClient, ...]
    folder: Path
    disk_bytes: int
    # Told the bytes that came, by property.
    carried: Callable[[str, int], None] = lambda property, size: None


class Payloads:
    """A folder per property with a file per payload, named by its digest in hex."""

    def __init__(self, place: PayloadPlace, metrics: RegionMetrics) -> None:
        self._place, self._metrics = place, metrics
        self._coming: Flights[tuple[str, bytes], None] = Flights()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._bytes = sum(one.stat().st_size for one in place.folder.glob("*/*") if one.is_file())
        metrics.payloads_held.set_function(lambda: self._bytes)

    async def hold(self, property: str, payloads: Iterable[KeptPayload]) -> dict[str, str]:
        """Have payloads on disk; why those are not that could not be brought, by digest in hex."""
        wanted = list(payloads)
        found = await asyncio.gather(
            *(self._held(property, one) for one in wanted), return_exceptions=True
        )
        missing: dict[str, str] = {}
        for one, error in zip(wanted, found, strict=True):
            if isinstance(error, RehydrationError):
                missing[one.digest.hex()] = str(error)
            elif error is not None:
                raise error
        return missing

    async def filled(self, property: str, recipe: PromptRecipe) -> PromptRecipe:
        """The recipe with the payload that it names in its place, fetched where it is not here.

        Raises :class:`ModelError` or :class:`OriginUnavailable`.
        """
        if recipe.kept is None:
            return recipe
        await self._held(property, recipe.kept)
        return await asyncio.to_thread(self.filled_from_disk, property, recipe)

    def filled_from_disk(self, property: str, recipe: PromptRecipe) -> PromptRecipe:
        """The same without fetching: :class:`PayloadNotHeld`."""
        kept = recipe.kept
        if kept is None:
            return recipe
        payload = self._read(property, kept.digest)
        if payload is None or KeptPayload.of(payload) != kept:
            raise PayloadNotHeld(f"payload {kept.digest.hex()[:8]} is not held here")
        return recipe.with_payload(payload)

    def read(self, property: str, digest: bytes) -> bytes:
        """A payload for another region; :class:`PayloadNotHeld`."""
        found = self._read(property, digest)
        if found is None:
            raise PayloadNotHeld(f"payload {digest.hex()[:8]} is not held here")
        return found

    def held(self, property: str) -> tuple[KeptPayload, ...]:
        """What is on disk."""
        files = [one for one in (self._place.folder / property).glob("*") if _is_whole(one)]
        return tuple(KeptPayload(bytes.fromhex(one.name), one.stat().st_size) for one in files)

    def drop(self, property: str, digests: Collection[bytes]) -> int:
        """Take payloads off the disk that nothing names; how many were there."""
        dropped = 0
        for digest in digests:
            path = self._file(property, digest)
            if path.exists():
                self._bytes -= path.stat().st_size
                path.unlink()
                dropped += 1
        return dropped

    def bytes_on_disk(self) -> dict[str, int]:
        """By property."""
        folders = (one for one in self._place.folder.glob("*") if one.is_dir())
        return {one.name: sum(kept.size for kept in self.held(one.name)) for one in folders}

    async def close(self) -> None:
        await self._coming.close()

    async def _held(self, property: str, payload: KeptPayload) -> None:
        if await asyncio.to_thread(self._is_here, property, payload):
            return
        name = (property, payload.digest)
        task = self._coming.get(name) or self._coming.begin(name, self._bring(property, payload))
        await asyncio.shield(task)

    async def _bring(self, property: str, payload: KeptPayload) -> None:
        if self._bytes + payload.size > self._place.disk_bytes:
            raise ModelError(
                f"payload {payload.digest.hex()[:8]}: {payload.size} bytes more than the "
                f"{self._place.disk_bytes} that REGION_PAYLOADS_DISK_BYTES allows"
            )
        self._bytes += payload.size
        try:
            async with self._turns:
                data = await self._fetched(property, payload)
                await asyncio.to_thread(write_file, self._file(property, payload.digest), data)
        except BaseException:
            self._bytes -= payload.size
            raise
        self._metrics.payload_bytes.inc(payload.size)

    async def _fetched(self, property: str, payload: KeptPayload) -> bytes:
        """From the origin, or else from another region; raises what the origin's fault was."""
        faults: list[RehydrationError] = []
        for source in self._place.sources:
            try:
                return await _fetch(source, property, payload, self._place.carried)
            except (ModelError, OriginUnavailable) as error:
                log.warning("%s: %s", source.base_url, error)
                faults.append(error)
        raise faults[0]

    def _is_here(self, property: str, payload: KeptPayload) -> bool:
        try:
            return self._file(property, payload.digest).stat().st_size == payload.size
        except FileNotFoundError:
            return False

    def _read(self, property: str, digest: bytes) -> bytes | None:
        """The bytes on disk if they are the ones that the digest names; others are removed."""
        path = self._file(property, digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path}: cannot read: {error.strerror}") from error
        if _digest_of(data) != digest:
            log.warning("payload %s on disk is damaged and will be fetched again", path.name[:8])
            self.drop(property, [digest])
            return None
        return data

    def _file(self, property: str, digest: bytes) -> Path:
        return self._place.folder / property / digest.hex()


async def _fetch(
    source: AsyncClient,
    property: str,
    payload: KeptPayload,
    carried: Callable[[str, int], None],
) -> bytes:
    name = payload.digest.hex()
    data = bytearray()
    try:
        async with source.stream(
            "GET",
            f"{PAYLOADS_PATH}/{property}/{name}",
            headers={"Accept-Encoding": "identity"},
        ) as answer:
            if answer.status_code >= 500:
                raise OriginUnavailable(f"payload {name[:8]}: answered {answer.status_code}")
            if answer.status_code != 200:
                raise ModelError(f"payload {name[:8]}: not there ({answer.status_code})")
            try:
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > payload.size:
                        raise ModelError(f"payload {name[:8]} is longer than {payload.size} bytes")
            finally:
                carried(property, carried_bytes(answer))
    except HTTPError as error:
        cause = str(error) or type(error).__name__
        raise OriginUnavailable(f"payload {name[:8]}: cannot fetch it: {cause}") from error
    if len(data) != payload.size or _digest_of(data) != payload.digest:
        raise ModelError(f"payload {name[:8]} is not the one that was signed")
    return bytes(data)


def _digest_of(data: bytes | bytearray) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def _is_whole(path: Path) -> bool:
    """Others are being written under a hidden name."""
    return len(path.name) == 64
