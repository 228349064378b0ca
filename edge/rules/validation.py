"""Validating a stored response with the origin, and a client's own conditions against it."""

from edge.rules.fields import end_to_end, joined
from edge.rules.stored import Fields, Stored
from kvsync.conditional import Conditions, not_modified

# A 304 confirms the stored bytes: what describes them stays as it was stored with them
# (RFC 9111 section 3.2), their entity tag with them.
_OF_THE_BYTES = frozenset(
    "content-encoding content-length content-md5 content-range content-digest repr-digest digest "
    "etag".split()
)
# For the origin to judge; a cache must not (RFC 9111 section 4.3.2).
ORIGIN_CONDITIONS = frozenset({"if-match", "if-unmodified-since"})
CONDITIONS = ORIGIN_CONDITIONS | {"if-none-match", "if-modified-since", "if-range"}


def validators(stored: Stored) -> Fields:
    """The conditions that ask whether a stored response is still right (section 4.3.1)."""
    tag = None if stored.own_tag else stored.etag
    pairs = (("if-none-match", tag), ("if-modified-since", stored.last_modified))
    return tuple((name, value) for name, value in pairs if value is not None)


def freshened(stored: Fields, confirmed: Fields) -> Fields:
    """The stored fields after a 304 (section 3.2): its fields in place of those of their names."""
    news = tuple(
        field
        for field in end_to_end(confirmed)
        if field[0] not in _OF_THE_BYTES and field[0] != "age"
    )
    renewed = {name for name, _ in news}
    return tuple(field for field in stored if field[0] not in renewed) + news


def may_answer_304(stored: Stored, asked: Conditions, *, by_date: bool) -> bool:
    """Whether a client's copy will do (RFC 9110 section 13.2.2).

    Not ``by_date`` where two sources serve one URL: a date that fits one of them would make the
    client keep the other's bytes.
    """
    if stored.status != 200:
        return False
    since = asked.if_modified_since if by_date else None
    if asked.if_none_match is None and since is None:
        return False
    return not_modified(
        Conditions(asked.if_none_match, since),
        stored.etag,
        stored.last_modified or joined(stored.fields, "date"),
    )
