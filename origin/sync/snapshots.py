"""Snapshots of properties in the bucket: pieces named by their digest, and a signed manifest.

A new manifest takes the old one's place when all its pieces lie there; the pieces of the one before
stay until the next, for regions that are still fetching them.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator

from kvsync.errors import OriginUnavailable, RecordError, RequestError
from kvsync.log import Entry, Put
from kvsync.signing import Keyring, SigningKey
from kvsync.snapshot import Piece, SnapshotManifest, pack_piece, piece_of
from origin.bucket import Bucket
from origin.database import Database
from origin.sync import chain, truth
from origin.sync.outbox import content_of

_log = logging.getLogger(__name__)
_PIECE_BYTES = 1 << 20
_ENTRY_OVERHEAD = 64
_MANIFEST = "manifest"


class NoSnapshot(RequestError):
    status = 404
    reason = "no-snapshot"


class Snapshots:
    """Every property's last snapshot in ``bucket``. Each method may raise what a bucket does."""

    def __init__(self, database: Database, bucket: Bucket, key: SigningKey) -> None:
        self._database = database
        self._bucket = bucket
        self._key = key
        self._lock = threading.Lock()

    def make(self, property: str) -> SnapshotManifest:
        """Make one of everything that is sealed; takes a minute per some million records."""
        with self._lock:
            return self._make(property)

    def last(self, property: str) -> SnapshotManifest | None:
        """The last one that was made; one that was not signed as it is now counts for none."""
        found = self._last(property)
        return None if found is None else found[0]

    def manifest(self, property: str, least: int) -> bytes:
        """The last one's signed manifest; a new one if it ends before the sequence ``least``."""
        found = self._last(property)
        if found is None or found[0].seq < least:
            with self._lock:
                # Several regions may ask at once.
                found = self._last(property)
                if found is None or found[0].seq < least:
                    return self._make(property).sign(self._key)
        return found[1]

    def piece(self, property: str, digest: str) -> bytes:
        """A piece of the last two snapshots; :class:`NoSnapshot` for anything else."""
        is_name = len(digest) == 64 and digest.isalnum()
        found = self._bucket.read(f"{property}/{digest}") if is_name else None
        if found is None:
            raise NoSnapshot(f"{property}: no piece {digest[:64]!r}; ask for the manifest again")
        return found

    def _make(self, property: str) -> SnapshotManifest:
        began_ms = int(time.time() * 1_000)
        head = chain.head(self._database, property)
        pieces: list[Piece] = []
        records = entries = 0
        there = self._bucket.names(property)
        for some in _in_pieces(self._everything(property, head.seq)):
            packed = pack_piece(some)
            pieces.append(piece_of(packed))
            if (name := pieces[-1].digest.hex()) not in there:
                self._bucket.write(f"{property}/{name}", packed)
            records += sum(isinstance(one, Put) for one in some)
            entries += len(some)
        manifest = SnapshotManifest(
            "snapshot",
            property,
            head.seq,
            head.digest,
            began_ms,
            records,
            entries,
            tuple(pieces),
        )
        self._put_in_place(manifest)
        return manifest

    def _put_in_place(self, manifest: SnapshotManifest) -> None:
        """Let a snapshot count whose pieces are written, and forget the one before the last."""
        property = manifest.property
        before, there = self.last(property), self._bucket.names(property)
        if _names(manifest) - there:
            raise OriginUnavailable(
                f"{property}: another process made a snapshot at the same time; make it again"
            )
        self._bucket.write(f"{property}/{_MANIFEST}", manifest.sign(self._key))
        kept = _names(manifest) | (_names(before) if before else set()) | {_MANIFEST}
        self._bucket.remove(property, there - kept)

    def _last(self, property: str) -> tuple[SnapshotManifest, bytes] | None:
        signed = self._bucket.read(f"{property}/{_MANIFEST}")
        if signed is None:
            return None
        keys = Keyring((self._key.trusted_for([property]),))
        try:
            return SnapshotManifest.from_signed(signed, keys, property=property), signed
        except RecordError as error:
            _log.warning("the last snapshot of %s is not used: %s", property, error)
            return None

    def _everything(self, property: str, at: int) -> Iterator[Entry]:
        # Models before the records that need them, as in the log.
        yield from truth.keyless(self._database, property, at)
        yield from truth.in_force(self._database, property, at)
        # Last, since the last entry of a key counts: each region takes those that name it.
        yield from truth.canaries(self._database, property, at)


def _names(manifest: SnapshotManifest) -> set[str]:
    return {piece.digest.hex() for piece in manifest.pieces}


def _in_pieces(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    piece: list[Entry] = []
    size = 0
    for one in entries:
        length = len(content_of(one)) + _ENTRY_OVERHEAD
        if piece and size + length > _PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += length
    if piece:
        yield piece
