"""The origin's buckets on S3 or anything that speaks its protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError

from kvsync.errors import InputError
from origin.bucket import PIECE_BYTES, Opened
from origin.s3 import S3_ERRORS, S3Place, is_not_found


class S3Bucket:
    """A :class:`origin.bucket.Bucket` on an :class:`origin.s3.S3Place`."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        self._place = S3Place(url, endpoint_url)

    def read(self, name: str) -> bytes | None:
        opened = self.open(name)
        return None if opened is None else b"".join(opened.pieces)

    def open(self, name: str) -> Opened | None:
        place = self._place
        try:
            found = place.client.get_object(Bucket=place.bucket, Key=place.prefix + name)
        except S3_ERRORS as error:
            if is_not_found(error):
                return None
            raise place.unavailable(name, error) from error
        return Opened(found["ContentLength"], self._pieces(name, found["Body"]))

    def write(self, name: str, data: bytes) -> None:
        place = self._place
        try:
            place.client.put_object(Bucket=place.bucket, Key=place.prefix + name, Body=data)
        except S3_ERRORS as error:
            raise place.unavailable(name, error) from error

    def copy_in(self, name: str, source: Path) -> None:
        place = self._place
        try:
            place.client.upload_file(str(source), place.bucket, place.prefix + name)
        except (*S3_ERRORS, S3UploadFailedError) as error:
            raise place.unavailable(name, error) from error
        except OSError as error:
            raise InputError(f"{source}: cannot read: {error.strerror}") from error

    def names(self, folder: str) -> set[str]:
        return {name.removeprefix(f"{folder}/") for name, _ in self._place.listed(f"{folder}/")}

    def remove(self, folder: str, names: set[str]) -> None:
        place = self._place
        for name in names:
            key = f"{place.prefix}{folder}/{name}"
            try:
                place.client.delete_object(Bucket=place.bucket, Key=key)
            except S3_ERRORS as error:
                raise place.unavailable(f"{folder}/{name}", error) from error

    def folder(self, name: str) -> Path | None:
        return None

    def _pieces(self, name: str, body: Any) -> Iterator[bytes]:
        try:
            yield from body.iter_chunks(PIECE_BYTES)
        except S3_ERRORS as error:
            raise self._place.unavailable(name, error) from error
