"""Digests of key ranges, by which a region proves that it has exactly what was published.

The keys of a property are divided by their first 12 bits into 4096 ranges. A range's digest is the
sum, modulo 2^128, of one hash per key: of its newest put or tombstone. A sum depends on no order
and follows a change by one subtraction and one addition. ``seq`` says at which point of the log it
was taken; two sides compare at the same one. Format: docs/record-format.md#ranges.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import MalformedRecord
from kvsync.log import Bury, Put, decode_entries, encode_entries
from kvsync.record import Name, Natural
from kvsync.signing import Keyring, SigningKey

DIGESTS_PATH = "/v1/digests"
RANGES_PATH = "/v1/ranges"
RANGES = 4_096
_BYTES = 16
_MODULUS = 1 << (8 * _BYTES)


def range_of(key: bytes) -> int:
    """The number of the range, 0 to 4095, that an asset key lies in."""
    return key[0] << 4 | key[1] >> 4


def entry_hash(key: bytes, signed: bytes, *, buried: bool) -> int:
    """What a key's newest entry adds to its range's digest: a number below 2^128.

    Of bytes alone, so that both sides come to the same for what neither can read.
    """
    head = (b"t" if buried else b"r") + key
    return int.from_bytes(hashlib.blake2b(head + signed, digest_size=_BYTES).digest(), "big")


class RangeSums:
    """The digests of all ranges, which follow changes; each is a number below 2^128."""

    def __init__(self, sums: Iterable[int] = ()) -> None:
        self._sums = [*sums] or [0] * RANGES

    def add(self, key: bytes, hashed: int) -> None:
        number = range_of(key)
        self._sums[number] = (self._sums[number] + hashed) % _MODULUS

    def remove(self, key: bytes, hashed: int) -> None:
        self.add(key, _MODULUS - hashed)

    def copy(self) -> "RangeSums":
        return RangeSums(self._sums)

    def encode(self) -> bytes:
        """65 536 bytes: range after range, 16 bytes each."""
        return b"".join(one.to_bytes(_BYTES, "big") for one in self._sums)


class RangeDigests(msgspec.Struct, frozen=True, array_like=True):
    """The digests of all ranges as they were when the log had come to ``seq``."""

    kind: str
    property: Name
    seq: Natural
    sums: Annotated[bytes, Meta(min_length=RANGES * _BYTES, max_length=RANGES * _BYTES)]

    @classmethod
    def make(cls, property: str, seq: int, sums: RangeSums) -> Self:
        return cls("digests", property, seq, sums.encode())

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, property: str) -> Self:
        """Verify, then parse, then trust; raises a :class:`kvsync.errors.RecordError`."""
        try:
            found = msgspec.msgpack.decode(keys.open(signed, property), type=cls)
        except UNREADABLE as error:
            raise MalformedRecord(f"{property}: not digests of ranges: {error}") from error
        if found.kind != "digests" or found.property != property:
            raise MalformedRecord(f"{property}: the digests are of something else")
        return found

    def differing(self, other: Self) -> Iterator[int]:
        """The numbers of the ranges in which the two sides differ."""
        for number in range(RANGES):
            here = slice(number * _BYTES, (number + 1) * _BYTES)
            if self.sums[here] != other.sums[here]:
                yield number


class RangeEntries(msgspec.Struct, frozen=True, array_like=True):
    """The newest entry of every key of one range as it was when the log had come to ``seq``."""

    kind: str
    property: Name
    number: Annotated[int, Meta(ge=0, lt=RANGES)]
    seq: Natural
    entries: msgspec.Raw

    @classmethod
    def make(cls, property: str, number: int, seq: int, entries: Iterable[Put | Bury]) -> Self:
        return cls("range", property, number, seq, msgspec.Raw(encode_entries(entries)))

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, property: str, number: int) -> Self:
        """Verify, then parse, then trust; raises a :class:`kvsync.errors.RecordError`."""
        try:
            found = msgspec.msgpack.decode(keys.open(signed, property), type=cls)
        except UNREADABLE as error:
            raise MalformedRecord(f"{property}: not a range of entries: {error}") from error
        if (found.kind, found.property, found.number) != ("range", property, number):
            raise MalformedRecord(f"{property}: the entries are of another range than {number}")
        return found

    def read(self) -> tuple[Put | Bury, ...]:
        """The entries; what this version cannot use is left out, as the log leaves it out."""
        found = decode_entries(self.entries)
        return tuple(one for one in found if isinstance(one, Put | Bury))
