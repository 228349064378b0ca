"""What the console works on, opened once and handed to every page."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from kvsync.errors import RequestError
from kvsync.signing import SigningKey
from origin.catalogue import Catalogue, read_catalogue
from origin.console.settings import ConsoleSettings
from origin.console.tables import FamilyRow
from origin.database import Database, ensure_property
from origin.model_store import ModelStore, open_models
from origin.settings import OriginSettings
from origin.site import Site
from origin.sites import Sites
from origin.tables import AssetRow, ModelRow


class NotHere(RequestError):
    status = 404
    reason = "not-found"


@dataclass(frozen=True)
class Desk:
    settings: ConsoleSettings
    origin: OriginSettings
    sites: Sites
    catalogues: Mapping[str, Catalogue]
    database: Database
    models: ModelStore
    key: SigningKey

    def site(self, property: str) -> Site:
        """:class:`NotHere` for a property that has no asset store here."""
        try:
            return self.sites[property]
        except KeyError:
            raise NotHere(f"there is no property {property[:40]!r}") from None

    def families(self, property: str) -> list[str]:
        """Known by a model, by an asset or by the gallery's manifest."""
        with self.database.reading() as session:
            found = set(
                session.scalars(select(ModelRow.family).where(ModelRow.property == property))
            )
            assets = select(AssetRow.family).where(AssetRow.property == property).distinct()
            found |= set(session.scalars(assets))
            made = select(FamilyRow.name).where(FamilyRow.property == property)
            found |= set(session.scalars(made))
        if property in self.catalogues:
            found.add(self.catalogues[property].family)
        return sorted(found)

    def newest_model(self, property: str, family: str) -> ModelRow | None:
        """The family's model that was added last and is still in use."""
        query = (
            select(ModelRow)
            .where(ModelRow.property == property, ModelRow.family == family)
            .where(ModelRow.retired_at.is_(None))
            .order_by(ModelRow.added_at.desc())
            .limit(1)
        )
        with self.database.reading() as session:
            return session.scalars(query).one_or_none()


@contextmanager
def open_desk(origin: OriginSettings, settings: ConsoleSettings) -> Iterator[Desk]:
    """:class:`kvsync.errors.InputError` for settings that cannot be met."""
    sites = Sites(origin)
    folders = {name: Path(folder) for name, folder in origin.galleries.items() if name in sites}
    catalogues = {name: read_catalogue(folder) for name, folder in folders.items()}
    key = SigningKey.load_or_create(origin.signing_key)
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(origin.database_url)
    try:
        with database.writing() as session:
            for name in sites:
                ensure_property(session, name)
        models = open_models(origin, database)
        yield Desk(settings, origin, sites, catalogues, database, models, key)
    finally:
        database.close()
