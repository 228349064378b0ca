"""What the asset store holds, as the control plane last saw it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kvsync.record import Original
from origin.dam import AssetInfo, content_digest
from origin.database import Database, ensure_property
from origin.site import Site
from origin.tables import AssetRow, CandidateRow


def read_original(site: Site, path: str) -> tuple[AssetInfo, bytes]:
    """The original at a URL path; :class:`origin.dam.AssetNotFound` when it is gone."""
    return site.dam.open(site.name_of(site.request(path)))


def find_asset(session: Session, property: str, key: bytes) -> AssetRow | None:
    found = select(AssetRow).where(AssetRow.property == property, AssetRow.key == key)
    return session.scalars(found).one_or_none()


def family_noted(database: Database, property: str, key: bytes) -> str | None:
    """The family that an asset was dehydrated in last; None if it never was."""
    query = select(AssetRow.family).where(AssetRow.property == property, AssetRow.key == key)
    with database.reading() as session:
        return session.scalars(query).one_or_none()


def note_asset(
    session: Session,
    site: Site,
    path: str,
    family: str,
    attributes: Mapping[str, Any],
    original: Original,
) -> AssetRow:
    """Write down an original as it is now, over what was known of it."""
    ensure_property(session, site.id)
    request = site.request(path)
    row = find_asset(session, site.id, request.key)
    if row is None:
        row = AssetRow(property=site.id, path=request.path, key=request.key)
        session.add(row)
    elif row.family != family:
        of_asset = update(CandidateRow).where(CandidateRow.asset_id == row.id)
        session.execute(of_asset.values(family=family))
    row.family, row.attributes = family, dict(attributes)
    row.validator, row.digest = original.validator, original.digest
    row.media_type, row.size = original.media_type, original.size
    session.flush()
    return row


def current_original(database: Database, site: Site, path: str) -> Original:
    """The original as its store gives it now.

    Bytes are read only when the store's validator is not the one that was last seen.
    Raises :class:`origin.dam.AssetNotFound` or :class:`kvsync.errors.OriginUnavailable`.
    """
    request = site.request(path)
    name = site.name_of(request)
    with database.reading() as session:
        row = find_asset(session, site.id, request.key)
    info = site.dam.stat(name)
    if row is not None and row.validator == info.etag:
        return Original(info.etag, row.digest, info.media_type, info.size)
    return describe_original(*site.dam.open(name))


def describe_original(info: AssetInfo, data: bytes) -> Original:
    return Original(info.etag, content_digest(data), info.media_type, info.size)
