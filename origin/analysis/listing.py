"""What a folder or a bucket holds, page by page in the order of names. Nothing is opened."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from kvsync.errors import InputError, OriginUnavailable
from origin.analysis.place import PAGE, Listed, Place
from origin.analysis.s3_inventory import INVENTORIES, InventoryPlace, read_inventory
from origin.s3 import S3_ERRORS, S3Place


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
        """As :class:`Place`; a name that leads out of the folder (keys of a bucket may) is none."""
        if path.startswith("/") or ".." in path.split("/"):
            raise OriginUnavailable(f"{path}: not below {self.root}")
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

    @property
    def prefix(self) -> str:
        """What the names of its files begin with in the bucket, with its slash; "" for all."""
        return self._place.prefix

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


def open_place(where: str, endpoint_url: str | None = None, bytes_from: str | None = None) -> Place:
    """A folder, ``s3://bucket/prefix``, or an S3 Inventory (its ``manifest.json``, or one file of
    ``.csv``, ``.csv.gz``, ``.parquet``) whose bytes lie in ``bytes_from``: of a bucket with a
    prefix, what is listed below that. :class:`kvsync.errors.InputError` for none.
    """
    if where.startswith("s3://"):
        if where.endswith(INVENTORIES):
            raise InputError(f"{where}: an inventory is read from a folder; copy its files to one")
        return BucketPlace(where, endpoint_url)
    path = Path(where)
    if not path.name.endswith(INVENTORIES):
        if path.is_file():
            known = ", ".join(INVENTORIES)
            raise InputError(f"{path}: neither a folder nor an S3 Inventory ({known}, never ORC)")
        return FolderPlace(path)
    if bytes_from is None:
        raise InputError(f"{path}: an inventory has no pictures; say --bytes-from FOLDER or s3:")
    pictures = open_place(bytes_from, endpoint_url)
    prefix = pictures.prefix if isinstance(pictures, BucketPlace) else ""
    return InventoryPlace(read_inventory(path), pictures, prefix)


def _of_entry(name: str, entry: os.DirEntry[str]) -> Listed | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone since it was listed
        return None
    return Listed(name, found.st_size, f"{found.st_mtime_ns}-{found.st_ino}", str(found.st_mtime))
