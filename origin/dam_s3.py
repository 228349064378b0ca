"""The asset store on S3 or anything that speaks its protocol."""

from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kvsync.errors import InputError, OriginUnavailable
from origin.dam import AssetInfo, AssetNotFound, checked_name, media_type_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# What servers answer when the uploader said nothing.
_UNSAID_TYPES = {"", "binary/octet-stream", "application/octet-stream"}
_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}


class S3Dam:
    """A :class:`origin.dam.Dam` on the keys below ``s3://bucket/prefix``; ETags are the store's.

    Credentials come from where boto3 looks for them (environment, profile, instance role).
    """

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise InputError(f"{url}: not an asset store; write s3://bucket/prefix")
        self._bucket = parts.netloc
        prefix = parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        # Servers other than S3 rarely have a host name per bucket.
        style: Any = {"addressing_style": "path" if endpoint_url else "auto"}
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            config=Config(
                s3=style, connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2}
            ),
        )

    def check(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except (ClientError, BotoCoreError) as error:
            raise self._failure("", error) from error

    def list(self) -> Iterator[str]:
        for name, _ in self.etags():
            yield name

    def etags(self) -> Iterator[tuple[str, str]]:
        try:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for entry in page.get("Contents", []):
                    if not entry["Key"].endswith("/"):
                        # Not every server quotes it here as it does in a header.
                        etag = '"' + entry["ETag"].strip('"') + '"'
                        yield entry["Key"].removeprefix(self._prefix), etag
        except (ClientError, BotoCoreError) as error:
            raise self._failure("", error) from error

    def name_of_key(self, key: str) -> str | None:
        return key.removeprefix(self._prefix) if key.startswith(self._prefix) else None

    def stat(self, name: str) -> AssetInfo:
        key = self._prefix + checked_name(name)
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise self._failure(name, error) from error
        return _info(name, found)

    def open(self, name: str) -> tuple[AssetInfo, bytes]:
        key = self._prefix + checked_name(name)
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
            data = found["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise self._failure(name, error) from error
        return _info(name, found), data

    def _failure(self, name: str, error: Exception) -> AssetNotFound | OriginUnavailable:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else ""
        if name and code in _NOT_FOUND:
            return AssetNotFound(f"no asset {name[:200]!r} here")
        return OriginUnavailable(f"s3://{self._bucket}/{self._prefix}{name}: {error}")


def _info(name: str, found: Any) -> AssetInfo:
    said = found.get("ContentType", "")
    media_type = media_type_of(name) if said in _UNSAID_TYPES else said
    modified = found["LastModified"].astimezone(UTC)
    return AssetInfo(name, found["ETag"], modified, found["ContentLength"], media_type)
