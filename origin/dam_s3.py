"""The asset store on S3 or anything that speaks its protocol."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from kvsync.errors import OriginUnavailable
from origin.dam import AssetInfo, AssetNotFound, checked_name, media_type_of
from origin.s3 import S3_ERRORS, S3Place, is_not_found

# What servers answer when the uploader said nothing.
_UNSAID_TYPES = {"", "binary/octet-stream", "application/octet-stream"}


class S3Dam:
    """A :class:`origin.dam.Dam` on an :class:`origin.s3.S3Place`; ETags are the store's."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        self._place = S3Place(url, endpoint_url)

    def check(self) -> None:
        try:
            self._place.client.head_bucket(Bucket=self._place.bucket)
        except S3_ERRORS as error:
            raise self._place.unavailable("", error) from error

    def list(self) -> Iterator[str]:
        for name, _ in self.etags():
            yield name

    def etags(self) -> Iterator[tuple[str, str]]:
        for name, etag in self._place.listed():
            if not name.endswith("/"):
                yield name, f'"{etag}"'

    def name_of_key(self, key: str) -> str | None:
        prefix = self._place.prefix
        return key.removeprefix(prefix) if key.startswith(prefix) else None

    def stat(self, name: str) -> AssetInfo:
        key = self._place.prefix + checked_name(name)
        try:
            found = self._place.client.head_object(Bucket=self._place.bucket, Key=key)
        except S3_ERRORS as error:
            raise self._failure(name, error) from error
        return _info(name, found)

    def open(self, name: str) -> tuple[AssetInfo, bytes]:
        key = self._place.prefix + checked_name(name)
        try:
            found = self._place.client.get_object(Bucket=self._place.bucket, Key=key)
            data = found["Body"].read()
        except S3_ERRORS as error:
            raise self._failure(name, error) from error
        return _info(name, found), data

    def put(self, name: str, data: bytes) -> None:
        place = self._place
        try:
            place.client.put_object(
                Bucket=place.bucket,
                Key=place.prefix + checked_name(name),
                Body=data,
                ContentType=media_type_of(name),
            )
        except S3_ERRORS as error:
            raise place.unavailable(name, error) from error

    def _failure(self, name: str, error: Exception) -> AssetNotFound | OriginUnavailable:
        if is_not_found(error):
            return AssetNotFound(f"no asset {name[:200]!r} here")
        return self._place.unavailable(name, error)


def _info(name: str, found: Any) -> AssetInfo:
    said = found.get("ContentType", "")
    media_type = media_type_of(name) if said in _UNSAID_TYPES else said
    modified = found["LastModified"].astimezone(UTC)
    return AssetInfo(name, found["ETag"], modified, found["ContentLength"], media_type)
