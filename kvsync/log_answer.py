"""An answer of the log over HTTP: a signed heartbeat and the signed batches after a sequence.

``GET /v1/log/{property}?after=N&wait_s=S`` answers frames: four bytes of length, most significant
first, and as many bytes. The first frame is the heartbeat, the others are batches in order. Nothing
but what is inside the frames is signed, so a relay may cut or join answers between them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from kvsync.errors import Truncated
from kvsync.log import MAX_BATCH_BYTES

MAX_ANSWER_BYTES = 8 << 20
FRAMES = "application/vnd.rehydrate.log"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """Still signed and unchecked: a heartbeat, and batches in order."""

    heartbeat: bytes
    batches: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        frames = (self.heartbeat, *self.batches)
        return b"".join(part for one in frames for part in (_LENGTH.pack(len(one)), one))

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """:class:`Truncated` for bytes that end within a frame, or that are no frames."""
        heartbeat, *batches = _frames(raw)
        return cls(heartbeat, tuple(batches))


def _frames(raw: bytes) -> Iterator[bytes]:
    if not raw:
        raise Truncated("an answer of the log without a heartbeat")
    at = 0
    while at < len(raw):
        if len(raw) - at < _LENGTH.size:
            raise Truncated("an answer of the log ends within a frame's length")
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if length > MAX_BATCH_BYTES:
            raise Truncated(f"an answer of the log announces a frame of {length} bytes")
        if len(raw) - at < length:
            raise Truncated(f"an answer of the log ends within a frame of {length} bytes")
        yield raw[at : at + length]
        at += length
