"""What lies in the store: one response with its policy parsed already, or the list of variants.

A store keeps ``encode(entry)`` beside the body and never looks inside; a hit parses no field.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

Source = Literal["rehydrated", "replica", "origin"]
Fields = tuple[tuple[str, str], ...]
Selected = tuple[tuple[str, str | None], ...]
Body = bytes | memoryview


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="response"):
    """A stored response without its body. Times are Unix seconds.

    ``head`` holds its field lines as they are sent, names in lower case, each line ended by CRLF,
    without what every answer says anew (Age, Cache-Status, Content-Length, Server-Timing).
    ``reason`` says why it came from the origin. The age of a response is ``now - born_at``
    (RFC 9111 section 4.2.3). It is fresh before ``fresh_until``; from then on it may be served
    while it is revalidated before ``revalidating_until`` (RFC 5861 section 3) and in place of an
    error before ``on_error_until`` (section 4). Where the rules forbid that, both lie in the past.
    """

    status: int
    head: bytes
    source: Source
    reason: str
    born_at: float
    fresh_until: float
    revalidating_until: float
    on_error_until: float
    length: int
    etag: str | None = None
    last_modified: str | None = None
    # What the request had in the fields that Vary names, in normal form; None for an absent one.
    vary: Selected = ()
    # An image in a rendition that Accept may have chosen: then "Vary: Accept" is added.
    negotiable: bool = False
    # The entity tag is the edge's own: the origin does not know it.
    own_tag: bool = False
    # Of the record that was known of the asset; empty where none was.
    family: str = ""

    @property
    def by_record(self) -> bool:
        """Whether a record says that it is right, and nobody else: of others the origin does."""
        return self.source != "origin"

    @property
    def fields(self) -> Fields:
        lines = self.head.decode("latin-1").split("\r\n")[:-1]
        return tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))

    def field(self, wanted: str) -> str | None:
        """The value of the first field of that lower-case name."""
        return next((value for name, value in self.fields if name == wanted), None)


class Variants(msgspec.Struct, frozen=True, array_like=True, tag="variants"):
    """In a URL's place where its responses vary: which field names select, the newest first.

    ``generation`` is in the key of every variant, so that none outlives this list.
    """

    generation: bytes
    selecting: tuple[tuple[str, ...], ...]


Entry = Stored | Variants


@dataclass(frozen=True, slots=True)
class Cached:
    """A stored response and its whole body."""

    stored: Stored
    body: Body


def encode(entry: Entry) -> bytes:
    return msgspec.msgpack.encode(entry)


_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


def decode(raw: Body) -> Entry:
    """Raises :class:`msgspec.MsgspecError` for what another version wrote."""
    return _decoder.decode(raw)


def head_of(fields: Iterable[tuple[str, str]]) -> bytes:
    """Field lines as sent, each ended by CRLF."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")
