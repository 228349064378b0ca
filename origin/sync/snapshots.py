"""Snapshots of properties in a folder: pieces named by their digest, and a signed manifest.

A new one replaces the manifest when all its pieces lie there; the pieces of the one before stay
until the next, for regions that are still fetching them.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from kvsync.errors import InputError, RequestError
from kvsync.files import write_file
from kvsync.log import Entry, Put
from kvsync.signing import Envelope, SigningKey
from kvsync.snapshot import Piece, SnapshotManifest, pack_piece, piece_of
from origin.database import Database
from origin.sync import chain, truth
from origin.sync.outbox import content_of

_PIECE_BYTES = 1 << 20
_ENTRY_OVERHEAD = 64


class NoSnapshot(RequestError):
    status = 404
    reason = "no-snapshot"


class Snapshots:
    """Every property's last snapshot in ``folder``."""

    def __init__(self, database: Database, folder: Path, key: SigningKey) -> None:
        self._database = database
        self._folder = folder
        self._key = key
        self._lock = threading.Lock()

    def make(self, property: str) -> SnapshotManifest:
        """Make one of everything that is sealed; takes a minute per some million records."""
        with self._lock:
            began_ms = int(time.time() * 1_000)
            head = chain.head(self._database, property)
            folder = self._folder / property
            pieces: list[Piece] = []
            records = entries = 0
            for some in _in_pieces(self._everything(property, head.seq)):
                packed = pack_piece(some)
                pieces.append(piece_of(packed))
                write_file(folder / pieces[-1].digest.hex(), packed, replace=False)
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
            before = self.last(property)
            write_file(folder / "manifest", manifest.sign(self._key))
            _clean(folder, {one.digest.hex() for m in (manifest, before) if m for one in m.pieces})
            return manifest

    def last(self, property: str) -> SnapshotManifest | None:
        """The last one that was made."""
        signed = self._signed(property)
        if signed is None:
            return None
        return msgspec.msgpack.decode(Envelope.parse(signed).body, type=SnapshotManifest)

    def manifest(self, property: str, least: int) -> bytes:
        """The last one's signed manifest; a new one if it ends before the sequence ``least``."""
        last = self.last(property)
        if last is None or last.seq < least:
            self.make(property)
        signed = self._signed(property)
        if signed is None:
            raise NoSnapshot(f"{property}: there is no snapshot")
        return signed

    def piece(self, property: str, digest: str) -> Path:
        """Where a piece lies; :class:`NoSnapshot` for anything else."""
        path = self._folder / property / digest
        if len(digest) != 64 or not digest.isalnum() or not path.is_file():
            raise NoSnapshot(f"{property}: no piece {digest[:64]!r}; ask for the manifest again")
        return path

    def _everything(self, property: str, at: int) -> Iterator[Entry]:
        # Models before the records that need them, as in the log.
        yield from truth.keyless(self._database, property, at)
        yield from truth.in_force(self._database, property, at)

    def _signed(self, property: str) -> bytes | None:
        path = self._folder / property / "manifest"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path}: cannot read: {error.strerror}") from error


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


def _clean(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in kept and len(path.name) == 64:
            path.unlink(missing_ok=True)
