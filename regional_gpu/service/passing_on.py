"""Models for other regions: what this one holds, passed on unchanged.

They ask for it under the origin's own paths, and check the same signature and digests.
"""

from pathlib import Path

import msgspec

from kvsync.encoding import UNREADABLE
from kvsync.errors import ModelError
from kvsync.model import ModelAnnouncement
from kvsync.signing import Envelope
from regional_gpu.service.download import announcement_file, model_folder


class NotHeld(ModelError):
    """Another region asks for what is not on this one's disk."""

    status = 404


def held_announcement(models: Path, digest: bytes) -> bytes:
    """The signed announcement of a model on disk; :class:`NotHeld`."""
    try:
        return announcement_file(models, digest).read_bytes()
    except FileNotFoundError:
        raise NotHeld(f"model {digest.hex()[:8]} is not held here") from None


def held_file(models: Path, digest: bytes, path: str) -> Path:
    """Where a file of a model lies that its announcement names; :class:`NotHeld`."""
    body = Envelope.parse(held_announcement(models, digest)).body
    try:
        announced = msgspec.msgpack.decode(body, type=ModelAnnouncement)
    except UNREADABLE as error:
        raise NotHeld(f"model {digest.hex()[:8]}: its announcement is damaged") from error
    found = model_folder(models, digest) / path
    if path not in {file.path for file in announced.manifest.files} or not found.is_file():
        raise NotHeld(f"model {digest.hex()[:8]} has no file {path[:80]!r} here")
    return found
