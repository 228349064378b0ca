"""Which of a URL's stored responses a request selects (RFC 9111 section 4.1).

A response without Vary lies in the URL's own place. One with Vary lies under a key that hashes the
names and the request's normalised values; the URL's place then holds the list of names.
"""

import hashlib
import re
from collections.abc import Callable, Iterable

import msgspec

from edge.rules.fields import elements, joined, names
from edge.rules.stored import Fields, Selected, Stored, Variants

# Lists of names that a URL may have at once: an origin that keeps changing its Vary gets no more.
MAX_SELECTING = 4
_WEIGHT = re.compile(r";\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$", re.IGNORECASE)
# Weighted ranges: neither order nor case says anything (RFC 9110 section 12.5).
_PREFERENCES = frozenset({"accept-encoding", "accept-language", "accept-charset"})

Read = Callable[[str], str | None]
"""A request's field by lower-case name, as it is sent to the origin; None where there is none."""


def selecting_names(fields: Fields) -> tuple[str, ...]:
    """The field names of Vary, sorted, each once. ``*`` is not for here: such is never kept."""
    return tuple(sorted(set(names(joined(fields, "vary")))))


def selected(selecting: Iterable[str], read: Read) -> Selected:
    """What a request has in these fields, in normal form; an absent field differs from any."""
    return tuple((name, normalised(name, read(name))) for name in selecting)


def fits(stored: Stored, read: Read) -> bool:
    """Whether a request selects this stored response."""
    return all(normalised(name, read(name)) == value for name, value in stored.vary)


def normalised(name: str, value: str | None) -> str | None:
    """A value that means the same, the same for all that do (RFC 9111 section 4.1)."""
    if value is None:
        return None
    members = elements(value)
    if name in _PREFERENCES:
        return ",".join(sorted(_preference(member) for member in members))
    return ",".join(members)


def variant_key(url_key: bytes, generation: bytes, values: Selected) -> bytes:
    """Where the response lies that these values select."""
    digest = hashlib.blake2b(url_key, digest_size=16, key=generation)
    digest.update(msgspec.msgpack.encode(values))
    return url_key + digest.digest()


def with_selecting(known: Variants | None, names: tuple[str, ...], generation: bytes) -> Variants:
    """The list of a URL's names with ``names`` first; ``generation`` is for a new one."""
    if known is None:
        return Variants(generation, (names,))
    others = tuple(old for old in known.selecting if old != names)
    return Variants(known.generation, (names, *others)[:MAX_SELECTING])


def _preference(member: str) -> str:
    weight = _WEIGHT.search(member)
    if weight is None:
        return member.lower()
    share = float(weight[1])
    bare = member[: weight.start()].strip().lower()
    return bare if share == 1 else f"{bare};q={share:g}"
