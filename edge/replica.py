"""Ask the region for its own copy of an original, by the digest that the asset's record gives."""

import hashlib
import ssl
import time

from edge.breaker import Rules, State
from edge.kept import KeptConnections
from edge.regions import Counted, Region
from edge.trace import onward
from kvsync.errors import NotReplicated, Overloaded, RehydrationError, ReplicaUnavailable
from kvsync.property import Property
from kvsync.record import Record
from kvsync.replica import replica_path

_CONNECT_SHARE = 0.5


class Replica:
    """What a region keeps of the originals, at ``url``; nothing is asked of an empty one.

    ``counted`` is told (url, result) of every call.
    """

    def __init__(
        self,
        url: str,
        rules: Rules,
        trusted: ssl.SSLContext,
        counted: Counted,
        *,
        concurrency: int,
        body_limit_bytes: int,
    ) -> None:
        self._counted = counted
        self._peer: Region | None = None
        if url:
            kept = KeptConnections(url, trusted, body_limit_bytes=body_limit_bytes)
            self._peer = Region(kept, url, rules, concurrency)
        self._limit = body_limit_bytes

    def state(self) -> State:
        return State.CLOSED if self._peer is None else self._peer.state()

    async def fetch(self, site: Property, record: Record) -> bytes:
        """The very bytes that the record stands for.

        Raises :class:`NotReplicated` where the region has none of them, :class:`ReplicaUnavailable`
        where it cannot be asked or answers others, :class:`Overloaded`.
        """
        peer = self._peer
        if peer is None or record.body.original.size > self._limit:
            raise NotReplicated("there is no replica here, or none that large: EDGE_REPLICA_URL")
        if not peer.admit():
            raise ReplicaUnavailable(f"replica {peer.url} did not answer lately; not asked")
        result, begun = "abandoned", time.monotonic()
        try:
            async with peer.gate.passage():
                body = await _original(peer, site, record)
        except RehydrationError as error:
            result = error.reason
            if not isinstance(error, Overloaded):
                peer.failed(error)
            raise
        else:
            result = "ok"
            peer.answered(time.monotonic() - begun)
            return body
        finally:
            self._counted(peer.url, result)

    def close(self) -> None:
        if self._peer is not None:
            self._peer.kept.close()


async def _original(peer: Region, site: Property, record: Record) -> bytes:
    wanted, within_s = record.body.original, site.region_deadline_ms / 1000
    try:
        told = await peer.kept.get(
            replica_path(site.id, wanted.digest),
            onward(),
            within_s=within_s,
            connect_within_s=within_s * _CONNECT_SHARE,
        )
    except OSError as error:
        why = str(error) or type(error).__name__
        raise ReplicaUnavailable(f"replica {peer.url}: {why}") from error
    if told.status == NotReplicated.status:
        raise NotReplicated(f"replica {peer.url} has no original {wanted.digest.hex()[:8]}")
    if told.status != 200:
        raise ReplicaUnavailable(f"replica {peer.url} answers {told.status}")
    if hashlib.blake2b(told.body, digest_size=32).digest() != wanted.digest:
        raise ReplicaUnavailable(f"replica {peer.url}: not the bytes of {wanted.digest.hex()[:8]}")
    return told.body
