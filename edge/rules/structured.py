"""A Dictionary of Structured Field Values (RFC 9651 section 4.2.2), as cache directives need it."""

import re

_KEY = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_BARE = (
    r"-?\d{1,12}\.\d{1,3}|-?\d{1,15}|@-?\d{1,15}|" + _STRING + r"|[A-Za-z*][\w!#$%&'*+.^`|~:/-]*"
    r"|:[A-Za-z0-9+/=]*:|\?[01]"
)
_PARAMETERS = rf"(?:; *{_KEY}(?:=(?:{_BARE}))?)*"
_ITEM = rf"(?:{_BARE}){_PARAMETERS}"
_INNER = rf"\( *(?:{_ITEM}(?: +{_ITEM})*)? *\){_PARAMETERS}"
_MEMBER = re.compile(
    rf"(?P<key>{_KEY})(?:=(?:(?P<bare>{_BARE}){_PARAMETERS}|(?P<inner>{_INNER}))|{_PARAMETERS})",
    re.ASCII,
)
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def parse_dictionary(value: str) -> dict[str, str] | None:
    """Members by key with their bare item as written, ``"?1"`` where there is none.

    Parameters are dropped, an inner list counts as written. None when ``value`` is not a
    dictionary: then the whole field is to be ignored.
    """
    value, position = value.strip(" "), 0
    members: dict[str, str] = {}
    while position < len(value):
        member = _MEMBER.match(value, position)
        if member is None:
            return None
        members.pop(member["key"], None)
        members[member["key"]] = member["bare"] or member["inner"] or "?1"
        position = member.end()
        if position == len(value):
            break
        comma = _COMMA.match(value, position)
        if comma is None or comma.end() == len(value):
            return None
        position = comma.end()
    return members
