"""A property as the origin sees it: its key rules and the asset store below its URL prefix."""

from collections.abc import Mapping
from dataclasses import dataclass

from kvsync.errors import InputError
from kvsync.key import AssetRequest, read_request
from kvsync.property import Property
from origin.dam import AssetNotFound, Dam, name_of_path


@dataclass(frozen=True)
class Site:
    """The originals in ``dam`` have the URL paths ``/{property id}/{name}``."""

    rules: Property
    dam: Dam

    @property
    def id(self) -> str:
        return self.rules.id

    @property
    def prefix(self) -> str:
        return f"/{self.id}/"

    def request(self, path: str) -> AssetRequest:
        """The normalised request for a path as a person writes it: a bare name gets the prefix."""
        full = path if path.startswith("/") else self.prefix + path
        return read_request(self.rules, full.encode())

    def name_of(self, request: AssetRequest) -> str:
        """The original's name in the store; :class:`AssetNotFound` if the path is not below it."""
        return name_of_path(request.path, self.prefix)


def open_sites(properties: Mapping[str, Property], dams: Mapping[str, Dam]) -> dict[str, Site]:
    """:class:`InputError` for an asset store of a property that has no file."""
    if unknown := sorted(set(dams) - set(properties)):
        known = ", ".join(sorted(properties))
        raise InputError(f"ORIGIN_DAM names the property {unknown[0]!r}; there is only {known}")
    return {name: Site(properties[name], dam) for name, dam in dams.items()}


def site_of_path(sites: Mapping[str, Site], raw_path: bytes) -> Site:
    """The site whose prefix a request path has; :class:`AssetNotFound` if none has it."""
    first = raw_path[1:].partition(b"/")[0].decode("latin-1")
    if first not in sites:
        raise AssetNotFound(f"no property is served below /{first[:40]}")
    return sites[first]
