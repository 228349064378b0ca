"""Settings of one property (customer site): hosts, key rules, renditions, response headers.

A property is one TOML file, shared by the origin, the region and the edge.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from kvsync.errors import InputError, UnknownHost
from kvsync.rendition import RenditionRules


class QueryRules(msgspec.Struct, frozen=True):
    """The class of each query parameter; one that is not named here is ignored.

    ``rendition`` maps a parameter's name to what it sets: ``format``, ``width`` or ``quality``.
    """

    significant: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    rendition: dict[str, str] = {}


class Property(msgspec.Struct, frozen=True):
    """One customer site.

    ``headers`` is the response-header template of its images: values may name ``{property}``,
    ``{family}`` and ``{asset}`` (the asset key in hex). Times in seconds or milliseconds, as named.
    """

    id: str
    hosts: tuple[str, ...]
    renditions: RenditionRules
    query: QueryRules = QueryRules()
    headers: dict[str, str] = {}
    freshness_s: int = 86_400
    # A fall-back answer is kept only this long: the region may be back soon.
    fallback_freshness_s: int = 10
    # Past this the origin is faster than the region: docs/operations.md#deadlines
    region_deadline_ms: int = 1_000
    origin_deadline_ms: int = 10_000
    key_version: int = 1

    def image_headers(self, family: str, asset: str) -> dict[str, str]:
        """The header template filled in for one asset, names in lower case."""
        names = {"property": self.id, "family": family, "asset": asset}
        return {name.lower(): value.format_map(names) for name, value in self.headers.items()}


def read_property(path: Path) -> Property:
    """Read and check one property file; :class:`InputError` names the file and the fault."""
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=Property)
    except OSError as error:
        raise InputError(f"{path}: cannot read the property file: {error.strerror}") from error
    except msgspec.MsgspecError as error:
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
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name or not port.isascii() or not (port.isdigit() or port == ""):
        name = host
    found = by_host.get(name.lower().removesuffix("."))
    if found is None:
        raise UnknownHost(f"no property serves the host {host[:100]!r}")
    return found


def _check(found: Property, path: Path) -> None:
    rules = found.renditions
    if not found.id or len(found.id) > 40 or not found.id.replace("-", "").isalnum():
        raise InputError(f"{path}: id must be 1 to 40 letters, digits and dashes")
    if not rules.widths or min(rules.widths) < 1 or not rules.qualities:
        raise InputError(f"{path}: renditions need at least one width and one quality")
    if not rules.offered():
        raise InputError(f"{path}: no format meets its score goal within the encode budget")
    if bad := set(found.query.rendition.values()) - {"format", "width", "quality"}:
        raise InputError(f"{path}: query.rendition maps to unknown {', '.join(sorted(bad))}")
    try:
        found.image_headers("family", "asset")
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: header template names unknown {error}") from error
