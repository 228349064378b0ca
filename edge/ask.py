"""A request as the edge understands it, read from raw ASGI without touching the network."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.negotiate import Choice, choose
from kvsync.conditional import Conditions
from kvsync.errors import BadRequest, MethodNotAllowed
from kvsync.key import AssetRequest, read_request
from kvsync.property import Property, property_of_host

ALLOWED_METHODS = ("GET", "HEAD")
RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: whose site, which asset, in which form, under which conditions."""

    site: Property
    asset: AssetRequest
    choice: Choice
    host: str
    accept: str
    accept_language: str
    credentialed: bool
    conditions: Conditions
    head: bool

    @property
    def cache_key(self) -> bytes:
        form = self.choice.rendition
        return self.asset.key + f"{form.format}/{form.width}/{form.quality}".encode()

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
    if method not in ALLOWED_METHODS:
        raise MethodNotAllowed(f"{method[:20]} is not allowed here; use GET or HEAD")
    fields = _fields(headers)
    if announces_content(headers):
        raise BadRequest(f"a {method} with content is refused; send none")
    host = _host(headers)
    site = property_of_host(host, by_host)
    if not target.startswith(b"/"):
        raise BadRequest("the request target must be a path on this host, not a whole URL")
    path, _, query = target.partition(b"?")
    asset = read_request(site, path, query)
    accept = fields.get("accept", "")
    return Ask(
        site=site,
        asset=asset,
        choice=choose(site.renditions, dict(asset.rendition), accept),
        host=host,
        accept=accept,
        accept_language=fields.get("accept-language", ""),
        credentialed="authorization" in fields or "cookie" in fields,
        conditions=Conditions(fields.get("if-none-match"), fields.get("if-modified-since")),
        head=method == "HEAD",
    )


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
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
