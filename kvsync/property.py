"""Settings of one property (customer site): hosts, key rules, renditions, response headers.

A property is one TOML file, shared by the origin, the region and the edge.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError, UnknownHost
from kvsync.record import Name
from kvsync.rendition import RenditionRules

Duration = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Policy = Literal["always", "economical", "resilience"]
Way = Literal["rehydrate", "replica", "haul"]

STRICT_S = 30

_ID = re.compile(r"[A-Za-z0-9-]{1,40}")
_HOST = r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
_HOST_NAME = re.compile(_HOST, re.ASCII | re.IGNORECASE)
_HOST_HEADER = re.compile(_HOST + r"\.?(?::[0-9]*)?", re.ASCII | re.IGNORECASE)
_PARAMETER = re.compile(r"[A-Za-z0-9._~-]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
# Framing, and what each answer says of its own bytes and age: no template may.
_NOT_IN_TEMPLATES = frozenset(
    "age cache-status connection content-encoding content-length content-type date etag "
    "keep-alive last-modified server-timing set-cookie te trailer transfer-encoding upgrade "
    "vary".split()
)
_RENDITION_FIELDS = {"format", "width", "quality"}
_TEMPLATE_NAMES = frozenset({"property", "family", "asset"})


NO_RENDITIONS = RenditionRules(widths=(), qualities=(), encode_budget_ms=0, formats=())


class QueryRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The class of each query parameter; one that is not named here is ignored.

    ``rendition`` maps a parameter's name to what it sets: ``format``, ``width`` or ``quality``.
    """

    significant: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    rendition: dict[str, str] = {}


class Caching(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What edges may keep of the origin's answers beyond what these say: docs/edge.md.

    ``heuristic_share`` is of the time since Last-Modified, 0 for no guessing (RFC 9111 section
    4.2.2). ``negative_s`` is how long "there is nothing" is kept where it does not say. With
    ``keeps_cookies`` Set-Cookie and Cookie are no reason not to keep.
    """

    heuristic_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    negative_s: Duration = 5
    keeps_cookies: bool = False


class Ways(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a family's misses are answered: what was chosen, and what that comes to now.

    ``always`` rehydrates, ``resilience`` does while the origin is slow or down, ``economical`` goes
    the cheapest ``way``: rehydrate, serve the region's replica of the originals, or haul them.
    """

    policy: Policy = "always"
    way: Way = "rehydrate"


_AS_EVER = Ways()


class Property(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One customer site.

    With ``pass_through`` the edge is a plain cache for it: any method, nothing rehydrated, the
    query as it is; ``renditions``, ``query`` and ``headers`` are then left out.

    ``headers`` is the response-header template of its images: values may name ``{property}``,
    ``{family}`` and ``{asset}`` (the asset key in hex). Times in seconds or milliseconds, as named.

    ``ways`` are by family; one that is not in it is always rehydrated.
    """

    id: str
    hosts: tuple[str, ...]
    renditions: RenditionRules = NO_RENDITIONS
    query: QueryRules = QueryRules()
    headers: dict[str, str] = {}
    pass_through: bool = False
    caching: Caching = Caching()
    freshness_s: Duration = 86_400
    # A fall-back answer is kept only this long: the region may be back soon.
    fallback_freshness_s: Duration = 10
    # Past this the origin is faster than the region: docs/operations.md#deadlines
    region_deadline_ms: Duration = 1_000
    origin_deadline_ms: Duration = 10_000
    # How long a region that cannot ask whether a record was revoked goes on with what it knows.
    revoke_bound_s: Duration = 86_400
    # Rather haul than show what may have been revoked: goes on for half a minute at most.
    strict: bool = False
    key_version: int = 1
    ways: dict[Name, Ways] = {}

    def ways_of(self, family: str) -> Ways:
        return self.ways.get(family, _AS_EVER)

    @property
    def goes_on_s(self) -> int:
        """For how long after the last heartbeat of its log records are used."""
        return min(self.revoke_bound_s, STRICT_S) if self.strict else self.revoke_bound_s

    @property
    def names_family(self) -> bool:
        """Whether the header template says which family an image is of."""
        return any("{family}" in value for value in self.headers.values())

    def image_headers(self, family: str, asset: str) -> dict[str, str]:
        """The header template filled in for one asset, names in lower case."""
        names = {"property": self.id, "family": family, "asset": asset}
        return {name.lower(): value.format_map(names) for name, value in self.headers.items()}


def read_property(path: Path) -> Property:
    """Read and check one property file; :class:`InputError` names the file and the fault."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the property file: {error.strerror}") from error
    return parse_property(raw, path)


def parse_property(toml: bytes, path: Path) -> Property:
    """Check a property file's bytes; :class:`InputError` names ``path`` and the fault."""
    try:
        found = msgspec.toml.decode(toml, type=Property)
    except UNREADABLE as error:
        raise InputError(f"{path}: not a property file: {error}") from error
    _check(found, path)
    return found


def read_properties(folder: Path) -> dict[str, Property]:
    """Every ``*.toml`` in ``folder`` by property id; two with one id or host are refused."""
    found: dict[str, Property] = {}
    for path in sorted(folder.glob("*.toml")):
        one = read_property(path)
        if one.id in found:
            raise InputError(f"{path}: property {one.id!r} is defined twice; remove one file")
        found[one.id] = one
    if not found:
        raise InputError(f"{folder}: no property file (*.toml) there; add one")
    hosts_to_properties(found.values())
    return found


def hosts_to_properties(properties: Iterable[Property]) -> dict[str, Property]:
    """Host name to property; :class:`InputError` when two properties claim one host."""
    by_host: dict[str, Property] = {}
    for one in properties:
        for host in one.hosts:
            if by_host.setdefault(host.lower(), one) is not one:
                raise InputError(f"host {host!r} belongs to two properties; name it in one only")
    return by_host


def property_of_host(host: str, by_host: Mapping[str, Property]) -> Property:
    """The property that serves a ``Host`` header's value; its port and a final dot do not count.

    Raises :class:`UnknownHost` (421, RFC 9110 section 15.5.20).
    """
    name = _HOST_HEADER.fullmatch(host)
    found = by_host.get(name[1].lower()) if name else None
    if found is None:
        raise UnknownHost(f"no property serves the host {host[:100]!r}")
    return found


def _check(found: Property, path: Path) -> None:
    if not _ID.fullmatch(found.id):
        raise InputError(f"{path}: id must be 1 to 40 letters, digits and dashes")
    if found.key_version != 1:
        raise InputError(f"{path}: key_version {found.key_version} is not known; only 1 is")
    if not found.hosts:
        raise InputError(f"{path}: hosts must name at least one host")
    for host in found.hosts:
        if not _HOST_NAME.fullmatch(host):
            raise InputError(f"{path}: host {host!r} must be a bare name, without scheme or port")
    if found.pass_through:
        plain = found.renditions == NO_RENDITIONS and found.query == QueryRules()
        if not plain or found.headers or found.ways:
            raise InputError(
                f"{path}: with pass_through leave out renditions, query, headers and ways"
            )
        return
    _check_renditions(found.renditions, path)
    _check_query(found.query, path)
    _check_headers(found, path)
    _check_ways(found.ways, path)


def _check_renditions(rules: RenditionRules, path: Path) -> None:
    if not rules.widths or not rules.qualities:
        raise InputError(f"{path}: renditions need at least one width and one quality")
    if not rules.offered():
        raise InputError(f"{path}: no format meets its score goal within the encode budget")


def _check_query(rules: QueryRules, path: Path) -> None:
    if bad := set(rules.rendition.values()) - _RENDITION_FIELDS:
        raise InputError(f"{path}: query.rendition maps to unknown {', '.join(sorted(bad))}")
    names = [*rules.significant, *rules.refused, *rules.rendition]
    for name in names:
        if not _PARAMETER.fullmatch(name):
            raise InputError(f"{path}: parameter {name!r} may have only letters, digits and -._~")
        if names.count(name) > 1:
            raise InputError(f"{path}: parameter {name!r} is in two classes; keep it in one")


def _check_headers(found: Property, path: Path) -> None:
    for template in found.headers.values():
        _check_template(template, path)
    for name, value in found.image_headers("family", "asset").items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InputError(f"{path}: header {name!r} has characters that a header may not")
        if name in _NOT_IN_TEMPLATES:
            raise InputError(f"{path}: header {name!r} is not a template's to set; remove it")


def _check_template(template: str, path: Path) -> None:
    """Only names as they are: a width in a format could ask for all the memory there is."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise InputError(f"{path}: header template {template[:60]!r}: {error}") from error
    for _, name, spec, conversion in parts:
        if name is not None and name not in _TEMPLATE_NAMES:
            raise InputError(f"{path}: header template names unknown {name[:60]!r}")
        if spec or conversion:
            raise InputError(
                f"{path}: header template {template[:60]!r}: write {{{name}}}, without a format"
            )


def _check_ways(ways: Mapping[str, Ways], path: Path) -> None:
    for family, chosen in ways.items():
        if chosen.policy != "economical" and chosen.way != "rehydrate":
            raise InputError(
                f"{path}: ways.{family}: the way {chosen.way!r} is for the policy 'economical' only"
            )
