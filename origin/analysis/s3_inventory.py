"""S3 Inventory: what Amazon's store lists of itself each day or week, as CSV or Parquet."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import msgspec

from kvsync.errors import InputError, OriginUnavailable
from origin.analysis.place import PAGE, Listed, Place

INVENTORIES: Final = ("manifest.json", ".csv", ".csv.gz", ".parquet")
# Bounds a sort of any number of keys: what is more goes to a folder of its own on disk.
_MEMORY: Final = "1GB"
# CSV has no header: these are its first columns where nothing else was asked for.
_SIMPLEST: Final = ("bucket", "key", "size", "last_modified_date", "e_tag")
_DIALECT: Final = "delim=',', quote='\"', escape='\"'"
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
    size: int | None = None


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
    """A manifest and the files that it names, which lie below it by their keys, as whole copies of
    the bucket have them, beside it, or in ``data`` beside its folder, as S3 puts them; or one file.
    :class:`InputError` for a file that is not there, or not whole."""
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
    files = tuple(_beside(path, one) for one in manifest.files)
    schema = manifest.file_schema if manifest.file_format == "CSV" else ""
    return Inventory(files, tuple(name.strip() for name in schema.split(",") if name.strip()))


def _beside(manifest: Path, file: _File) -> Path:
    folder, name = manifest.parent, file.key.rpartition("/")[2]
    beside = (folder / name, folder / "data" / name, folder.parent / "data" / name)
    copied = (above / file.key for above in manifest.absolute().parents)
    for found in (*beside, *copied):
        if found.is_file():
            there = found.stat().st_size
            if file.size not in (None, there):
                raise InputError(
                    f"{found}: {there} bytes, {file.size} by its manifest; fetch it again"
                )
            return found
    raise InputError(f"{manifest}: its file {name} is neither beside it nor in ../data")


class InventoryPlace:
    """What an S3 Inventory lists below ``prefix``, read as a stream by DuckDB: of versions the
    latest, and nothing that was deleted. Bytes come from ``bytes_from``, which has the names
    without the prefix."""

    def __init__(self, inventory: Inventory, bytes_from: Place, prefix: str = "") -> None:
        self._inventory, self._bytes_from, self._prefix = inventory, bytes_from, prefix
        self.errors: list[str] = []
        self.unlisted: list[str] = []

    def read(self, path: str) -> bytes:
        return self._bytes_from.read(path)

    def pages(self, after: str) -> Iterator[list[Listed]]:
        """As :class:`Place`; :class:`InputError` where the columns are not those of an
        inventory: what is not understood must not pass for an empty bucket."""
        prefix = self._prefix
        try:
            with (
                TemporaryDirectory(prefix="inventory-") as spilt,
                duckdb.connect(config={"temp_directory": spilt, "memory_limit": _MEMORY}) as base,
            ):
                rows = base.execute(
                    f"SELECT * FROM ({self._query(base)}) "
                    "WHERE key > ? AND starts_with(key, ?) ORDER BY key",
                    [prefix + after, prefix],
                )
                while found := rows.fetchmany(PAGE):
                    yield [
                        Listed(
                            key.removeprefix(prefix),
                            self._whole(key, size),
                            etag or modified,
                            modified,
                            storage,
                        )
                        for key, size, etag, modified, storage in found
                        if not key.endswith("/")
                    ]
        except duckdb.Error as error:
            lines = str(error).splitlines()
            told = next((line for line in lines if line.startswith("Expected")), lines[0])
            raise OriginUnavailable(f"{self._named()}: not an S3 Inventory: {told}") from error

    def _named(self) -> str:
        first, *others = self._inventory.files
        return f"{first} and {len(others)} more" if others else f"{first}"

    def _whole(self, key: str, size: str) -> int:
        if size.isascii() and size.isdecimal():
            return int(size)
        if not size:
            return 0
        raise InputError(
            f"{self._named()}: a size of {size!r} for {key!r}; its columns are others than said"
        )

    def _query(self, base: duckdb.DuckDBPyConnection) -> str:
        source, found = self._source(base)
        if not {*_COLUMNS["key"]} & set(found):
            raise InputError(f"{self._named()}: no column Key among {', '.join(found)}")
        columns = ", ".join(
            next((f'"{one}"' for one in known if one in found), "NULL") + f" AS {name}"
            for name, known in _COLUMNS.items()
        )
        # CSV has keys escaped as in a query string, Parquet as they are.
        key = "key" if self._inventory.is_parquet else "url_decode(replace(key, '+', ' '))"
        return f"""
            SELECT {key} AS key, coalesce(size::VARCHAR, '') AS size,
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
        source = f"read_csv([{listed}], all_varchar=true, {_DIALECT})"
        found = _described(base, source)
        if {"key", "Key"} & set(found):
            return source, found
        if len(found) > len(_SIMPLEST):
            raise InputError(
                f"{self._named()}: {len(found)} columns without a header; give the manifest.json "
                "that names them"
            )
        return _csv(listed, _SIMPLEST[: len(found)])


def _csv(listed: str, columns: Sequence[str]) -> tuple[str, Sequence[str]]:
    named = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in columns)
    unsniffed = f"auto_detect=false, header=false, {_DIALECT}"
    return f"read_csv([{listed}], {unsniffed}, columns={{{named}}})", columns


def _described(base: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    return [row[0] for row in base.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
