"""What a place holds, page by page in the order of names: a folder, a bucket, or an S3 Inventory.

A page is what is committed at once, so a walk that was stopped goes on after the last name of
the last page. Nothing is opened.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import duckdb

from kvsync.errors import InputError, OriginUnavailable
from origin.s3 import S3_ERRORS, S3Place

PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One file: ``validator`` changes when its bytes do (a store's ETag; a folder's time)."""

    path: str
    size: int
    validator: str
    modified: str = ""
    metadata: str = ""


class Place(Protocol):
    """Where a customer's originals lie. ``errors`` say what could not be listed, ``unlisted`` are
    the beginnings of the names that therefore may still be there."""

    errors: list[str]
    unlisted: list[str]

    def pages(self, after: str) -> Iterator[list[Listed]]:
        """Files with names above ``after``, in order of their code points, at most 1,000 a page.

        :class:`kvsync.errors.OriginUnavailable` when the place stops answering midway.
        """

    def read(self, path: str) -> bytes:
        """A file's bytes. OSError or :class:`kvsync.errors.OriginUnavailable`."""


class FolderPlace:
    """A folder; hidden files and links are not in it. A folder that cannot be listed is named in
    ``errors``, and the rest goes on."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.errors: list[str] = []
        self.unlisted: list[str] = []
        if not self.root.is_dir():
            raise InputError(f"{root}: no such folder; name one, or s3://bucket/prefix")

    def pages(self, after: str) -> Iterator[list[Listed]]:
        page: list[Listed] = []
        for listed in self._below("", after):
            page.append(listed)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def _below(self, folder: str, after: str) -> Iterator[Listed]:
        try:
            with os.scandir(self.root / folder) as found:
                # A folder sorts as the names in it do: with its slash.
                entries = sorted(
                    (folder + one.name + ("/" if one.is_dir(follow_symlinks=False) else ""), one)
                    for one in found
                    if not one.name.startswith(".") and not one.is_symlink()
                )
        except OSError as error:
            self.errors.append(f"{self.root / folder}: cannot be listed: {error.strerror}")
            self.unlisted.append(folder)
            return
        for name, entry in entries:
            if name.endswith("/"):
                # Names within begin with ``name``: all done if it lies before, and is no part of it
                if name > after or after.startswith(name):
                    yield from self._below(name, after)
            elif name > after and (found_there := _of_entry(name, entry)) is not None:
                yield found_there


class BucketPlace:
    """What lies below ``s3://bucket/prefix``, by the store's own listing."""

    def __init__(self, url: str, endpoint_url: str | None) -> None:
        self._named = url, endpoint_url
        self._place = S3Place(url, endpoint_url)
        self.errors: list[str] = []
        self.unlisted: list[str] = []

    def __reduce__(self) -> tuple[type[Self], tuple[str, str | None]]:
        return type(self), self._named  # connections stay in their process

    def pages(self, after: str) -> Iterator[list[Listed]]:
        place = self._place
        begin = place.prefix + after if after else ""
        try:
            paginator = place.client.get_paginator("list_objects_v2")
            for page in paginator.paginate(
                Bucket=place.bucket, Prefix=place.prefix, StartAfter=begin
            ):
                yield [
                    Listed(
                        entry["Key"].removeprefix(place.prefix),
                        entry["Size"],
                        entry["ETag"].strip('"'),
                        entry["LastModified"].isoformat(),
                        entry.get("StorageClass", ""),
                    )
                    for entry in page.get("Contents", [])
                    # Not every server knows StartAfter, and folders are no files.
                    if not entry["Key"].endswith("/") and entry["Key"][len(place.prefix) :] > after
                ]
        except S3_ERRORS as error:
            raise place.unavailable("", error) from error

    def read(self, path: str) -> bytes:
        place = self._place
        try:
            return place.client.get_object(Bucket=place.bucket, Key=place.prefix + path)[
                "Body"
            ].read()
        except S3_ERRORS as error:
            raise place.unavailable(path, error) from error


_COLUMNS: Final = {
    "key": ("key", "Key"),
    "size": ("size", "Size"),
    "etag": ("e_tag", "ETag", "etag"),
    "modified": ("last_modified_date", "LastModifiedDate"),
}


class InventoryPlace:
    """An S3 Inventory: CSV (``.csv``, ``.csv.gz``: bucket, key, size, time and ETag, with or
    without a header) or Parquet files, read as streams by DuckDB. Bytes come from ``bytes_from``.
    """

    def __init__(self, files: list[Path], bytes_from: Place) -> None:
        self._files, self._bytes_from = files, bytes_from
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
                        Listed(str(key), int(size or 0), str(etag or modified or ""), str(modified))
                        for key, size, etag, modified in found
                        if not str(key).endswith("/")
                    ]
        except duckdb.Error as error:
            told = str(error).splitlines()[0]
            raise OriginUnavailable(f"{self._files[0]}: not an S3 Inventory: {told}") from error

    def _query(self, base: duckdb.DuckDBPyConnection) -> str:
        names = [str(file).replace("'", "''") for file in self._files]
        listed = ", ".join(f"'{name}'" for name in names)
        if self._files[0].suffix == ".parquet":
            source = f"read_parquet([{listed}])"
        else:
            source = f"read_csv([{listed}], all_varchar=true)"
        found = [
            column[0] for column in base.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        ]
        if "column0" in found or not {"key", "Key"} & set(found):
            # S3 writes CSV without a header: Bucket, Key, then what was asked for in this order.
            types = ["bucket", "key", "size", "last_modified_date", "e_tag"]
            named = ", ".join(f"'{name}': 'VARCHAR'" for name in types[: len(found)])
            source = f"read_csv([{listed}], header=false, columns={{{named}}})"
            found = types[: len(found)]
        columns = [
            next((f'"{one}"' for one in known if one in found), "NULL") + f" AS {name}"
            for name, known in _COLUMNS.items()
        ]
        # Inventories escape keys as in a query string.
        unescaped = "url_decode(replace(key, '+', ' '))"
        chosen = ", ".join(columns)
        return (
            f"SELECT {unescaped} AS key, try_cast(size AS BIGINT) AS size, etag, modified "
            f"FROM (SELECT {chosen} FROM {source})"
        )


def open_place(where: str, endpoint_url: str | None = None, bytes_from: str | None = None) -> Place:
    """A folder, ``s3://bucket/prefix``, or S3 Inventory files (``.csv``, ``.csv.gz``,
    ``.parquet``) whose bytes lie in ``bytes_from``. :class:`kvsync.errors.InputError` for none.
    """
    if where.startswith("s3://"):
        return BucketPlace(where, endpoint_url)
    path = Path(where)
    if path.suffix == ".parquet" or path.name.endswith((".csv", ".csv.gz")):
        if not path.is_file():
            raise InputError(f"{path}: no such inventory file")
        if bytes_from is None:
            raise InputError(
                f"{path}: an inventory has no pictures; say --bytes-from FOLDER or s3:"
            )
        return InventoryPlace([path], open_place(bytes_from, endpoint_url))
    return FolderPlace(path)


def _of_entry(name: str, entry: os.DirEntry[str]) -> Listed | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone since it was listed
        return None
    return Listed(name, found.st_size, f"{found.st_mtime_ns}-{found.st_ino}", str(found.st_mtime))
