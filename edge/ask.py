"""A request as the edge understands it, read from raw ASGI without touching the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from edge.negotiate import Choice, choose
from edge.rules.fields import directives
from edge.rules.validation import ORIGIN_CONDITIONS
from kvsync.conditional import Conditions
from kvsync.errors import BadRequest, MethodNotAllowed
from kvsync.key import AssetRequest, read_request, read_whole
from kvsync.property import Property, property_of_host

ALLOWED_METHODS = ("GET", "HEAD")
# A tunnel, and an echo of what may be secret: not for a cache, whatever its origin says.
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})
# All that the origin is told of a shopper who asks for an image.
SENT_FOR_IMAGES = frozenset({"accept", "accept-encoding", "accept-language"})
RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Ask:
    """One request: whose site, which asset, in which form, under which conditions.

    ``choice`` is None where the property passes everything through. ``fields`` are all of the
    request's, by lower-case name, repeated ones joined.
    """

    site: Property
    asset: AssetRequest
    choice: Choice | None
    host: str
    method: str
    fields: Mapping[str, str]
    has_content: bool = False

    @property
    def head(self) -> bool:
        return self.method == "HEAD"

    @property
    def accept(self) -> str:
        return self.fields.get("accept", "")

    @cached_property
    def cache_key(self) -> bytes:
        if self.choice is None:
            return self.asset.key
        form = self.choice.rendition
        return self.asset.key + f"{form.format}/{form.width}/{form.quality}".encode()

    @property
    def credentialed(self) -> bool:
        return "authorization" in self.fields or "cookie" in self.fields

    @property
    def conditions(self) -> Conditions:
        return Conditions(self.fields.get("if-none-match"), self.fields.get("if-modified-since"))

    @property
    def past_the_cache(self) -> bool:
        """Whether only the origin can answer: another method, content, or conditions that are not
        for caches (RFC 9111 section 4.3.2). Only where everything is passed through."""
        return self.choice is None and (
            self.method not in ALLOWED_METHODS
            or self.has_content
            or not self.fields.keys().isdisjoint(ORIGIN_CONDITIONS)
        )

    def forbids(self, directive: str) -> bool:
        """Whether the request's Cache-Control has the directive (RFC 9111 section 5.2.1). Only
        ``no-store`` and ``only-if-cached`` are asked for: the others would let any client make the
        edge ask upstream."""
        said = self.fields.get("cache-control")
        return said is not None and directive in directives(said)

    def sends(self, name: str) -> str | None:
        """A field as the origin is sent it, None where it is not: what Vary selects by."""
        if self.choice is None:
            return self.fields.get(name)
        if name == "accept-encoding":
            return "identity"
        return self.fields.get(name) if name in SENT_FOR_IMAGES else None

    @property
    def host_name(self) -> str:
        """The host without its port: a port of the client's choosing is in no key either."""
        name = self.host.rpartition(":")[0] if not self.host.endswith("]") else self.host
        return (name or self.host).lower().removesuffix(".")

    @property
    def origin_target(self) -> str:
        """What the origin is asked for: only what is in the asset key, so that nothing else
        can change an answer that is shared."""
        query = self.asset.canonical.rpartition("\n")[2]
        return f"{self.asset.path}?{query}" if query else self.asset.path


def read_ask(
    method: str, target: bytes, headers: RawHeaders, by_host: Mapping[str, Property]
) -> Ask:
    """Read a request; raises a :class:`kvsync.errors.RequestError` that says what is wrong.

    ``target`` is the request target as it was sent: a proxy that resolves an absolute-form one
    and a cache that does not would disagree on the host, so it is refused.
    """
    if method in _REFUSED_METHODS:
        raise MethodNotAllowed(f"{method} is not allowed here; use GET or HEAD")
    host = _host(headers)
    site = property_of_host(host, by_host)
    has_content = announces_content(headers)
    if not site.pass_through:
        if method not in ALLOWED_METHODS:
            raise MethodNotAllowed(f"{method[:20]} is not allowed here; use GET or HEAD")
        if has_content:
            raise BadRequest(f"a {method} with content is refused; send none")
    if not target.startswith(b"/"):
        raise BadRequest("the request target must be a path on this host, not a whole URL")
    fields = _fields(headers)
    path, _, query = target.partition(b"?")
    if site.pass_through:
        asset = read_whole(site, path, query)
        return Ask(site, asset, None, host, method, fields, has_content)
    asset = read_request(site, path, query)
    choice = choose(site.renditions, dict(asset.rendition), fields.get("accept", ""))
    return Ask(site, asset, choice, host, method, fields)


def announces_content(headers: RawHeaders) -> bool:
    """Whether a body follows (RFC 9112 section 6.3). To a GET or HEAD it means nothing, and
    parties that disagree on where it ends take it for a request (RFC 9110 section 9.3.1)."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in headers
    )


def _host(headers: RawHeaders) -> str:
    """The value of the one Host header (RFC 9112 section 3.2)."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not hosts[0]:
        raise BadRequest(f"a request must carry one Host header; this one has {len(hosts)}")
    return hosts[0].decode("latin-1")


def _fields(headers: RawHeaders) -> dict[str, str]:
    """Field values by lower-case name, repeated ones joined (RFC 9110 section 5.3)."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        # The parser leaves the white space behind a value to us (RFC 9112 section 5.1).
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        joint = "; " if name == "cookie" else ", "
        fields[name] = f"{fields[name]}{joint}{value}" if name in fields else value
    return fields
