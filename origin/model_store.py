"""Models that regions may pull: files under ``models_dir/{digest}``, announced by a signed list."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kvsync.errors import InputError, RequestError
from kvsync.log import Announce
from kvsync.model import ModelAnnouncement, ModelManifest
from kvsync.signing import Envelope, SigningKey
from origin.database import Database, ensure_property, next_seq
from origin.sync.outbox import append
from origin.tables import ModelRow


class ModelNotFound(RequestError):
    status = 404
    reason = "no-model"


@dataclass(frozen=True)
class ModelStore:
    database: Database
    folder: Path

    def holds(self, digest: bytes, key: SigningKey) -> bool:
        """Whether the model is here and announced under ``key``."""
        with self.database.reading() as session:
            row = session.get(ModelRow, digest)
            signed_by = Envelope.parse(row.announcement).key_id if row else b""
        return signed_by == key.key_id and self.folder_of(digest).is_dir()

    def add(
        self, model: Path, manifest: ModelManifest, *, property: str, family: str, key: SigningKey
    ) -> None:
        """Copy a model's listed files in and announce them, here and in the property's log.

        One that is already held is left as it is.

        Raises :class:`InputError` when a file cannot be copied.
        """
        if self.holds(manifest.digest, key):
            return
        target = self.folder_of(manifest.digest)
        if not target.is_dir():
            _copy(model, manifest, target)
        announcement = ModelAnnouncement("model", property, family, manifest).sign(key)
        with self.database.writing() as session:
            ensure_property(session, property)
            append(session, property, [Announce(next_seq(session, property), announcement)])
            session.merge(
                ModelRow(
                    digest=manifest.digest,
                    property=property,
                    family=family,
                    size=manifest.size,
                    announcement=announcement,
                    added_at=int(time.time()),
                )
            )

    def announcement(self, digest: str) -> bytes:
        """The signed announcement of the model of that hex digest."""
        with self.database.reading() as session:
            row = session.get(ModelRow, _parse(digest))
        if row is None:
            raise ModelNotFound(f"no model {digest[:80]!r} here")
        return row.announcement

    def file(self, digest: str, path: str) -> Path:
        """Where one file that the announcement lists lies; anything else is not found."""
        body = Envelope.parse(self.announcement(digest)).body
        manifest = msgspec.msgpack.decode(body, type=ModelAnnouncement).manifest
        if path not in {file.path for file in manifest.files}:
            raise ModelNotFound(f"the model {digest[:8]} has no file {path[:200]!r}")
        found = self.folder_of(_parse(digest)) / path
        if not found.is_file():
            raise ModelNotFound(f"the model {digest[:8]} lost its file {path!r}")
        return found

    def folder_of(self, digest: bytes) -> Path:
        """Where the model lies, or would."""
        return self.folder / digest.hex()


def _copy(model: Path, manifest: ModelManifest, target: Path) -> None:
    """All files under a temporary name, then one rename."""
    temporary = target.with_name(f".{target.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        for file in manifest.files:
            _copy_file(model / file.path, temporary / file.path)
        temporary.rename(target)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise InputError(f"{target}: cannot copy the model there: {error.strerror}") from error


def _copy_file(source: Path, target: Path) -> None:
    """Piece by piece, since weights may be larger than the memory; flushed to disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("xb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _parse(digest: str) -> bytes:
    try:
        return bytes.fromhex(digest)
    except ValueError as error:
        raise ModelNotFound(f"no model {digest[:80]!r} here") from error
