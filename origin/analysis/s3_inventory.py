"""S3 Inventory: what Amazon's store lists of itself each day or week, as CSV or Parquet."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import duckdb
import msgspec

from kvsync.errors import InputError, OriginUnavailable
from origin.analysis.place import PAGE, Listed, Place

INVENTORIES: Final = ("manifest.json", ".csv", ".csv.gz", ".parquet")
# CSV has no header: these are its first columns where nothing else was asked for.
_SIMPLEST: Final = ("bucket", "key", "size", "last_modified_date", "e_tag")
# As Parquet files call them, and as manifests do.
_COLUMNS: Final = {
    "key": ("key", "Key"),
    "size": ("size", "Size"),
    "etag": ("e_tag", "ETag", "etag"),
    "modified": ("last_modified_date", "LastModifiedDate"),
    "storage": ("storage_class", "StorageClass"),
    "latest": ("is_latest", "IsLatest"),
    "deleted": ("is_delete_marker", "IsDeleteMarker"),
}


class _File(msgspec.Struct, frozen=True):
    key: str


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    files: tuple[_File, ...]
    file_format: str
    file_schema: str


@dataclass(frozen=True)
class Inventory:
    """The files of an inventory, and the columns of CSV if a manifest names them."""

    files: tuple[Path, ...]
    columns: tuple[str, ...] = ()

    @property
    def is_parquet(self) -> bool:
        return self.files[0].suffix == ".parquet"


def read_inventory(path: Path) -> Inventory:
    """A manifest and the files that it names, which lie beside it or in ``data`` beside its folder,
    as S3 puts them; or one file. :class:`InputError` for a file that is not there."""
    if not path.is_file():
        raise InputError(f"{path}: no such inventory file")
    if path.name != "manifest.json":
        return Inventory((path,))
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: not the manifest of an S3 Inventory: {error}") from error
    if manifest.file_format not in ("CSV", "Parquet"):
        raise InputError(f"{path}: files of {manifest.file_format}; have CSV or Parquet made")
    if not manifest.files:
        raise InputError(f"{path}: names no files")
    files = tuple(_beside(path, PurePosixPath(one.key).name) for one in manifest.files)
    schema = manifest.file_schema if manifest.file_format == "CSV" else ""
    return Inventory(files, tuple(name.strip() for name in schema.split(",") if name.strip()))


def _beside(manifest: Path, name: str) -> Path:
    folder = manifest.parent
    for found in (folder / name, folder / "data" / name, folder.parent / "data" / name):
        if found.is_file():
            return found
    raise InputError(f"{manifest}: its file {name} is neither beside it nor in ../data")


class InventoryPlace:
    """What an S3 Inventory lists, read as a stream by DuckDB: of versions the latest, and nothing
    that was deleted. Bytes come from ``bytes_from``."""

    def __init__(self, inventory: Inventory, bytes_from: Place) -> None:
        self._inventory, self._bytes_from = inventory, bytes_from
        self.errors: list[str] = []
        self.unlisted: list[str] = []

    def read(self, path: str) -> bytes:
        return self._bytes_from.read(path)

    def pages(self, after: str) -> Iterator[list[Listed]]:
        try:
            with duckdb.connect() as base:
                rows = base.execute(
                    f"SELECT * FROM ({self._query(base)}) WHERE key > ? ORDER BY key", [after]
                )
                while found := rows.fetchmany(PAGE):
                    yield [
                        Listed(key, size or 0, etag or modified, modified, storage)
                        for key, size, etag, modified, storage in found
                        if not key.endswith("/")
                    ]
        except duckdb.Error as error:
            told = str(error).splitlines()[0]
            file = self._inventory.files[0]
            raise OriginUnavailable(f"{file}: not an S3 Inventory: {told}") from error

    def _query(self, base: duckdb.DuckDBPyConnection) -> str:
        source, found = self._source(base)
        columns = ", ".join(
            next((f'"{one}"' for one in known if one in found), "NULL") + f" AS {name}"
            for name, known in _COLUMNS.items()
        )
        # CSV has keys escaped as in a query string, Parquet as they are.
        key = "key" if self._inventory.is_parquet else "url_decode(replace(key, '+', ' '))"
        return f"""
            SELECT {key} AS key, try_cast(size AS BIGINT) AS size,
                   coalesce(etag, '') AS etag, coalesce(modified::VARCHAR, '') AS modified,
                   coalesce(storage, '') AS storage
            FROM (SELECT {columns} FROM {source})
            WHERE key IS NOT NULL AND coalesce(latest::VARCHAR, 'true') <> 'false'
                  AND coalesce(deleted::VARCHAR, 'false') <> 'true'
        """

    def _source(self, base: duckdb.DuckDBPyConnection) -> tuple[str, Sequence[str]]:
        """What to select from, and its columns."""
        listed = ", ".join(_quoted(os.fspath(file)) for file in self._inventory.files)
        if self._inventory.is_parquet:
            source = f"read_parquet([{listed}])"
            return source, _described(base, source)
        if self._inventory.columns:
            return _csv(listed, self._inventory.columns)
        source = f"read_csv([{listed}], all_varchar=true)"
        found = _described(base, source)
        if {"key", "Key"} & set(found):
            return source, found
        return _csv(listed, _SIMPLEST[: len(found)])


def _csv(listed: str, columns: Sequence[str]) -> tuple[str, Sequence[str]]:
    named = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in columns)
    return f"read_csv([{listed}], header=false, columns={{{named}}})", columns


def _described(base: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    return [row[0] for row in base.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
