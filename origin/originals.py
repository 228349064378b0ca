"""Originals over HTTP: validators, conditional requests and the property's header template."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from kvsync.conditional import Conditions, http_date, not_modified
from kvsync.key import read_request
from origin.answer import Answer
from origin.dam import AssetInfo
from origin.database import Database
from origin.inventory import family_noted
from origin.site import Site


@dataclass(frozen=True)
class Originals:
    """One property's originals.

    An original's family is the one that the control database has noted, as its record will say;
    else what ``families`` has by its name, from a gallery; else one named like the property.
    """

    site: Site
    families: Mapping[str, str]
    database: Database

    def answer(
        self, raw_path: bytes, raw_query: bytes, asked: Mapping[str, str], *, head: bool
    ) -> Answer:
        """Answer a GET or HEAD whose request headers (lower case) are ``asked``.

        Raises :class:`kvsync.errors.RequestError` or :class:`kvsync.errors.OriginUnavailable`.
        """
        request = read_request(self.site.rules, raw_path, raw_query)
        name = self.site.name_of(request)
        conditions = Conditions(asked.get("if-none-match"), asked.get("if-modified-since"))
        if head or conditions != Conditions():
            info = self.site.dam.stat(name)
            unmodified = not_modified(conditions, info.etag, _date(info))
            if head or unmodified:
                status = 304 if unmodified else 200
                return Answer(status, self.headers(info, request.key, status), b"")
        info, body = self.site.dam.open(name)
        return Answer(200, self.headers(info, request.key, 200), body)

    def headers(self, info: AssetInfo, key: bytes, status: int) -> dict[str, str]:
        headers = {
            **self.site.rules.image_headers(self._family(info.name, key), key.hex()),
            "vary": "Accept",
            "etag": info.etag,
            "last-modified": _date(info),
        }
        if status == 200:
            headers["content-type"] = info.media_type
            headers["content-length"] = str(info.size)
        return headers

    def _family(self, name: str, key: bytes) -> str:
        in_gallery = self.families.get(name, self.site.id)
        if not self.site.rules.names_family:
            return in_gallery
        try:
            noted = family_noted(self.database, self.site.id, key)
        except SQLAlchemyError:
            # /readyz tells of the database; the picture is worth more than its family's name.
            return in_gallery
        return in_gallery if noted is None else noted


def _date(info: AssetInfo) -> str:
    return http_date(info.last_modified.timestamp())
