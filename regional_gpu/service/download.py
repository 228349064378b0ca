"""A model's way from the origin to this region's disk: whole and checked, or not at all."""

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from httpx2 import AsyncClient, HTTPError, Response

from kvsync.carried import carried_bytes
from kvsync.errors import InputError, ModelError, OriginUnavailable
from kvsync.files import write_file
from kvsync.model import ModelAnnouncement, ModelFile
from kvsync.signing import Keyring

MAX_ANNOUNCEMENT_BYTES = 64 << 10
_INCOMING = ".incoming-"


def model_folder(models: Path, digest: bytes) -> Path:
    return models / digest.hex()


def announcement_file(models: Path, digest: bytes) -> Path:
    return models / f"{digest.hex()}.announcement"


def clear_incoming(models: Path) -> None:
    """Remove what a killed process left half-downloaded."""
    for folder in models.glob(f"{_INCOMING}*"):
        shutil.rmtree(folder)


async def download(
    origin: AsyncClient,
    models: Path,
    digest: bytes,
    *,
    property: str,
    keys: Keyring,
    max_bytes: int,
    carried: Callable[[int], None] = lambda size: None,
) -> Path:
    """Fetch model ``digest`` (32 bytes) into ``models``; its folder, replaced if it was there.

    ``origin`` has the origin's address as its base; ``carried`` is told the bytes of each
    request and its answer. Raises :class:`ModelError` when the model is
    unknown, too large or not what was signed, :class:`OriginUnavailable` when the origin fails,
    :class:`InputError` when the disk does.
    """
    signed = await _announcement(origin, digest, carried)
    announced = ModelAnnouncement.from_signed(signed, keys, property=property, digest=digest)
    if announced.manifest.size > max_bytes:
        raise ModelError(
            f"model {digest.hex()[:8]}: {announced.manifest.size} bytes, more than the "
            f"{max_bytes} that REGION_MODELS_DISK_BYTES allows"
        )
    incoming = models / f"{_INCOMING}{digest.hex()[:8]}-{secrets.token_hex(4)}"
    try:
        incoming.mkdir(parents=True)
        for file in announced.manifest.files:
            await _file(origin, digest, file, incoming, carried)
        await asyncio.to_thread(_flush_folders, incoming)
        folder = model_folder(models, digest)
        # A crash between the two leaves no folder, which only means another download.
        shutil.rmtree(folder, ignore_errors=True)
        incoming.rename(folder)
        write_file(announcement_file(models, digest), signed)
    except OSError as error:
        raise InputError(f"{models}: cannot keep a model there: {error.strerror}") from error
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return folder


async def _announcement(
    origin: AsyncClient, digest: bytes, carried: Callable[[int], None]
) -> bytes:
    signed = bytearray()
    try:
        async with _get(origin, f"/v1/models/{digest.hex()}", carried) as response:
            _demand_ok(response, digest, "announcement")
            async for chunk in response.aiter_bytes():
                signed += chunk
                if len(signed) > MAX_ANNOUNCEMENT_BYTES:
                    raise ModelError(
                        f"model {digest.hex()[:8]}: announcement is longer than "
                        f"{MAX_ANNOUNCEMENT_BYTES} bytes"
                    )
    except HTTPError as error:
        raise _unavailable(digest, "announcement", error) from error
    return bytes(signed)


async def _file(
    origin: AsyncClient,
    digest: bytes,
    file: ModelFile,
    folder: Path,
    carried: Callable[[int], None],
) -> None:
    """Stream one file, refusing it as soon as it is longer than it was announced."""
    name = f"model {digest.hex()[:8]}: {file.path}"
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, size = hashlib.blake2b(digest_size=32), 0
    try:
        where = f"/v1/models/{digest.hex()}/{quote(file.path)}"
        async with _get(origin, where, carried) as response:
            _demand_ok(response, digest, file.path)
            with target.open("xb") as out:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > file.size:
                        raise ModelError(f"{name} is longer than the {file.size} bytes announced")
                    hasher.update(chunk)
                    out.write(chunk)
                out.flush()
                await asyncio.to_thread(os.fsync, out.fileno())
    except HTTPError as error:
        raise _unavailable(digest, file.path, error) from error
    if size != file.size:
        raise ModelError(f"{name} ended after {size} of {file.size} bytes")
    if hasher.digest() != file.digest:
        raise ModelError(f"{name} is not the file that was signed (digest differs)")


@asynccontextmanager
async def _get(
    origin: AsyncClient, path: str, carried: Callable[[int], None]
) -> AsyncIterator[Response]:
    # Sizes and digests are of the plain bytes; compressed weights would not be smaller anyway.
    async with origin.stream("GET", path, headers={"Accept-Encoding": "identity"}) as response:
        try:
            yield response
        finally:
            carried(carried_bytes(response))


def _demand_ok(response: Response, digest: bytes, what: str) -> None:
    if response.status_code >= 500:
        raise OriginUnavailable(
            f"model {digest.hex()[:8]}: the origin answers {response.status_code} for {what}"
        )
    if response.status_code != 200:
        raise ModelError(
            f"model {digest.hex()[:8]}: the origin has no {what} ({response.status_code}); "
            "publish the model there"
        )


def _unavailable(digest: bytes, what: str, error: HTTPError) -> OriginUnavailable:
    cause = str(error) or type(error).__name__
    return OriginUnavailable(f"model {digest.hex()[:8]}: cannot fetch {what}: {cause}")


def _flush_folders(root: Path) -> None:
    """A rename is durable only with the folders that hold the names flushed too."""
    for folder, _, _ in os.walk(root):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
