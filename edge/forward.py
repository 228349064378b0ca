"""Requests as the origin gets them. Pure."""

from dataclasses import dataclass

from edge.ask import Ask
from edge.rules.fields import end_to_end
from edge.rules.stored import Fields, Stored
from edge.rules.validation import CONDITIONS, validators

# Asked of the edge, which asks for the whole to keep it, under conditions of its own.
_NOT_FOR_FILLS = CONDITIONS | {"range", "content-length"}
# Said anew, or answered here.
_OF_THIS_HOP = frozenset({"host", "via", "x-forwarded-host", "expect"})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """``validates`` says that its conditions are the edge's own, for what it keeps; ``may_pass``
    that a body which takes long may go on to the client as it comes."""

    method: str
    target: str
    fields: Fields
    deadline_s: float
    validates: bool = False
    may_pass: bool = False


def to_fill(ask: Ask, node: str, kept: Stored | None) -> Outgoing:
    """A GET of the whole for the cache, which asks whether ``kept`` is still right: of what the
    origin said, never of an image that was generated here."""
    conditions = validators(kept) if kept is not None and kept.source == "origin" else ()
    fields = tuple(field for field in _fields(ask, node) if field[0] not in _NOT_FOR_FILLS)
    return Outgoing(
        "GET",
        ask.origin_target,
        fields + conditions,
        ask.site.origin_deadline_ms / 1000,
        validates=bool(conditions),
        may_pass=ask.choice is None and kept is None,
    )


def to_pass(ask: Ask, node: str) -> Outgoing:
    """What the client sent, past the cache."""
    deadline_s = ask.site.origin_deadline_ms / 1000
    return Outgoing(ask.method, ask.origin_target, _fields(ask, node), deadline_s)


def _fields(ask: Ask, node: str) -> Fields:
    own: Fields = (("x-forwarded-host", ask.host_name),)
    if ask.choice is None:
        sent = end_to_end(tuple(ask.fields.items()))
        said = ask.fields.get("via")
        own += (("via", f"{said}, 1.1 {node}" if said else f"1.1 {node}"),)
        return tuple(field for field in sent if field[0] not in _OF_THIS_HOP) + own
    named = (
        ("accept-encoding", "identity"),
        # The client library would otherwise add an Accept of its own.
        ("accept", ask.accept or "*/*"),
        ("accept-language", ask.fields.get("accept-language", "")),
    )
    return tuple(field for field in named if field[1]) + own
