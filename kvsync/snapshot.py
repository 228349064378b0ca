"""A snapshot: all that is in force in a property at one point of its log, in compressed pieces.

A region without anything begins with it, as does one that comes back after the log was trimmed.
The manifest is signed and names each piece by its digest, so pieces may come from anywhere.
Format: docs/record-format.md#snapshot.
"""

import builtins
import hashlib
from collections.abc import Iterable
from typing import Annotated, Self

import msgspec
import zstandard
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import MalformedRecord, RolledBack
from kvsync.log import Cursor, Entry, Skipped, decode_entries, encode_entries
from kvsync.record import Digest, Name, Natural
from kvsync.signing import Keyring, SigningKey

SNAPSHOTS_PATH = "/v1/snapshots"
MAX_PIECE_BYTES = 4 << 20
"""Of a piece's entries before compression; what claims to be more is refused unread."""
MAX_PIECES = 16_384
_LEVEL = 3


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """BLAKE2b-256 and number of its compressed bytes."""

    digest: Digest
    size: Annotated[int, Meta(ge=1, le=2 * MAX_PIECE_BYTES)]


class SnapshotManifest(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot consists of; ``seq`` and ``digest`` are of the last batch in it.

    ``records`` counts the puts among its ``entries``. ``made_at_ms`` is by the origin's clock.
    """

    kind: str
    property: Name
    seq: Natural
    digest: Digest
    made_at_ms: Natural
    records: Natural
    entries: Natural
    pieces: Annotated[tuple[Piece, ...], Meta(max_length=MAX_PIECES)]

    @builtins.property
    def cursor(self) -> Cursor:
        """Where the log is to be read on from."""
        return Cursor(self.seq, self.digest)

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def from_signed(
        cls, signed: bytes, keys: Keyring, *, property: str, not_before: int = 0
    ) -> Self:
        """Verify, parse, and demand that it goes at least as far as the sequence ``not_before``.

        Raises :class:`RolledBack` where it does not, or another
        :class:`kvsync.errors.RecordError`.
        """
        try:
            found = msgspec.msgpack.decode(keys.open(signed, property), type=cls)
        except UNREADABLE as error:
            raise MalformedRecord(f"{property}: not a snapshot: {error}") from error
        if found.kind != "snapshot" or found.property != property:
            raise MalformedRecord(f"{property}: the snapshot is of something else")
        if found.seq < not_before:
            raise RolledBack(
                f"{property}: a snapshot of {found.seq} came, and {not_before} is known"
            )
        return found


def pack_piece(entries: Iterable[Entry]) -> bytes:
    """The compressed bytes of a piece; :class:`MalformedRecord` if it would be too large."""
    raw = encode_entries(entries)
    if len(raw) > MAX_PIECE_BYTES:
        raise MalformedRecord(f"a piece of {len(raw)} bytes, more than {MAX_PIECE_BYTES}")
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(raw)


def piece_of(packed: bytes) -> Piece:
    return Piece(hashlib.blake2b(packed, digest_size=32).digest(), len(packed))


def unpack_piece(packed: bytes, piece: Piece) -> tuple[Entry | Skipped, ...]:
    """The entries of a piece if it is the one that the manifest names.

    :class:`MalformedRecord` otherwise.
    """
    if piece_of(packed) != piece:
        raise MalformedRecord(f"the piece {piece.digest.hex()[:8]} of a snapshot has other bytes")
    try:
        size = zstandard.frame_content_size(packed)
        if not 0 <= size <= MAX_PIECE_BYTES:
            raise MalformedRecord(f"the piece {piece.digest.hex()[:8]} claims {size} bytes")
        return decode_entries(zstandard.ZstdDecompressor().decompress(packed))
    except zstandard.ZstdError as error:
        raise MalformedRecord(f"the piece {piece.digest.hex()[:8]}: {error}") from error
