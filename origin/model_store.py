"""Models that regions may pull: files below ``{digest}/`` in a bucket, and signed lists of them."""

import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kvsync.errors import InputError, RequestError
from kvsync.log import Announce
from kvsync.model import ModelAnnouncement, ModelManifest, check_paths
from kvsync.signing import Envelope, SigningKey
from origin.bucket import Bucket, Opened
from origin.database import Database, ensure_property, next_seq
from origin.payload_store import PayloadStore
from origin.settings import OriginSettings, open_model_bucket
from origin.sync.outbox import append
from origin.tables import ModelRow


class ModelNotFound(RequestError):
    status = 404
    reason = "no-model"


@dataclass(frozen=True)
class ModelStore:
    """``fetched`` is the folder that models are copied to in order to be loaded from a bucket that
    is not on this machine. Each method may raise what a bucket does."""

    database: Database
    bucket: Bucket
    fetched: Path

    @property
    def payloads(self) -> PayloadStore:
        """Beside the models: what recipes name that is too large for a record."""
        return PayloadStore(self.database, self.bucket)

    def holds(self, digest: bytes, key: SigningKey) -> bool:
        """Whether the whole model is here and announced under ``key``."""
        with self.database.reading() as session:
            row = session.get(ModelRow, digest)
        if row is None or Envelope.parse(row.announcement).key_id != key.key_id:
            return False
        wanted = {file.path for file in _listed(row.announcement).files}
        return wanted <= self.bucket.names(digest.hex())

    def add(
        self, model: Path, manifest: ModelManifest, *, property: str, family: str, key: SigningKey
    ) -> None:
        """Copy a model's listed files in and announce them, here and in the property's log.

        One that is already held is left as it is.

        Raises :class:`InputError` when a file cannot be copied.
        """
        if self.holds(manifest.digest, key):
            return
        check_paths(manifest)
        there = self.bucket.names(manifest.digest.hex())
        for file in manifest.files:
            if file.path not in there:
                self.bucket.copy_in(f"{manifest.digest.hex()}/{file.path}", model / file.path)
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

    def open(self, digest: str, path: str) -> Opened:
        """One file that the announcement lists; anything else is not found."""
        manifest = _listed(self.announcement(digest))
        if path not in {file.path for file in manifest.files}:
            raise ModelNotFound(f"the model {digest[:8]} has no file {path[:200]!r}")
        found = self.bucket.open(f"{_parse(digest).hex()}/{path}")
        if found is None:
            raise ModelNotFound(f"the model {digest[:8]} lost its file {path!r}")
        return found

    def folder_of(self, digest: bytes) -> Path:
        """Where the model lies, or would, on this machine; fetched from a bucket that is elsewhere.

        Whoever loads it from there checks that it is the one that the digest names.
        """
        name = digest.hex()
        return self.bucket.folder(name) or self._fetch(name)

    def remove(self, digest: bytes) -> None:
        """Take a model's files out of the bucket."""
        name = digest.hex()
        self.bucket.remove(name, self.bucket.names(name))
        shutil.rmtree(self.fetched / name, ignore_errors=True)

    def _fetch(self, name: str) -> Path:
        target = self.fetched / name
        if target.is_dir():
            return target
        temporary = target.with_name(f".{name}.{secrets.token_hex(4)}")
        try:
            for path in self.bucket.names(name):
                self._fetch_file(f"{name}/{path}", temporary / path)
            if not temporary.exists():
                raise InputError(f"model {name[:8]} is not in the bucket; publish it again")
            temporary.rename(target)
        except OSError as error:
            raise InputError(f"{target}: cannot keep a model there: {error.strerror}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def _fetch_file(self, name: str, target: Path) -> None:
        found = self.bucket.open(name)
        if found is None:
            raise InputError(f"{name}: gone from the bucket while it was fetched; try again")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for piece in found.pieces:
                file.write(piece)


def open_models(settings: OriginSettings, database: Database) -> ModelStore:
    return ModelStore(database, open_model_bucket(settings), settings.models_fetched)


def _listed(announcement: bytes) -> ModelManifest:
    body = Envelope.parse(announcement).body
    return msgspec.msgpack.decode(body, type=ModelAnnouncement).manifest


def _parse(digest: str) -> bytes:
    try:
        return bytes.fromhex(digest)
    except ValueError as error:
        raise ModelNotFound(f"no model {digest[:80]!r} here") from error
