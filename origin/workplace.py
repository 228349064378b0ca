"""What an operator's command works on, opened from the settings and closed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kvsync.errors import InputError
from kvsync.property import read_properties
from kvsync.signing import SigningKey
from origin.database import Database
from origin.model_store import ModelStore, open_models
from origin.settings import OriginSettings, open_dam, read_settings, store_of
from origin.site import Site


@dataclass(frozen=True)
class Workplace:
    settings: OriginSettings
    site: Site
    database: Database
    models: ModelStore
    key: SigningKey


@contextmanager
def open_workplace(property: str, state: Path | None = None) -> Iterator[Workplace]:
    """A property's workplace, its database, keys and models in the folder ``state`` if one is
    given. :class:`InputError` for a property without settings or asset store, or bad settings."""
    settings = read_settings() if state is None else read_settings().kept_in(state)
    properties = read_properties(settings.properties_dir)
    where = store_of(settings, property) if property in properties else None
    if where is None:
        known = ", ".join(name for name in sorted(properties) if store_of(settings, name))
        raise InputError(
            f"property {property!r} has no file in {settings.properties_dir} or no asset store in "
            f"ORIGIN_DAM; there is {known}"
        )
    site = Site(properties[property], open_dam(where, settings.s3_endpoint))
    key = SigningKey.load_or_create(settings.signing_key)
    database = Database(settings.database_url)
    try:
        yield Workplace(settings, site, database, open_models(settings, database), key)
    finally:
        database.close()
