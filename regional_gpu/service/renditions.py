"""The renditions that a region made and keeps: by record and rendition, purged by tag."""

import lmdb
import msgspec

from kvsync.blobs import BlobStore
from kvsync.encoding import UNREADABLE
from kvsync.errors import BadRequest
from kvsync.property import Property
from kvsync.record import Record
from kvsync.rendition import Rendition, Still


class KeptImage(msgspec.Struct, frozen=True, array_like=True):
    """A delivered file and when its pixels were generated (Unix seconds)."""

    media_type: str
    generated_at: float
    data: bytes


class Renditions:
    """What edges of one region share: a blob store that speaks of records and renditions.

    A disk that fails makes misses, not errors: the image at hand is served all the same.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self.purges = self.faults = 0

    def get(self, name: bytes) -> KeptImage | None:
        try:
            blob = self._blobs.get(name)
            return None if blob is None else msgspec.msgpack.decode(blob, type=KeptImage)
        except (lmdb.Error, *UNREADABLE):
            self.faults += 1
            return None

    def put(self, name: bytes, record: Record, image: KeptImage, *, seen_purges: int) -> None:
        """Keep ``image`` unless something was purged since ``seen_purges`` was read: what was
        being made then may be what the purge was meant for."""
        if seen_purges != self.purges:
            return
        body = record.body
        tags = (body.key.hex(), body.family, body.property, record.digest.hex())
        try:
            self._blobs.put(name, msgspec.msgpack.encode(image), tags)
        except lmdb.Error:
            self.faults += 1

    def purge(self, tags: tuple[str, ...], *, everything: bool) -> int:
        """Drop what carries one of ``tags``, or all; how many there were."""
        self.purges += 1
        return self._blobs.clear() if everything else self._blobs.purge(tags)

    @property
    def bytes_used(self) -> int:
        return self._blobs.bytes_used

    def close(self) -> None:
        self._blobs.close()


def rendition_name(record: Record, rendition: Rendition) -> bytes:
    """What a rendition is kept under: the record's digest (16 bytes), then the rendition."""
    return record.digest + msgspec.msgpack.encode(rendition)


def demand_offered(still: Still, site: Property) -> None:
    """:class:`BadRequest` for a rendition outside the property's set: variants are bounded."""
    rules = site.renditions
    own_quality = {rule.format: rule.quality for rule in rules.formats}
    if (
        still.format not in own_quality
        or still.width not in rules.widths
        or still.quality not in (*rules.qualities, own_quality[still.format])
    ):
        raise BadRequest(
            f"{still.format} {still.width} px quality {still.quality} is not a rendition of "
            f"property {site.id!r}"
        )
