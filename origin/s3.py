"""A place on S3 or anything that speaks its protocol: where originals or snapshots lie."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kvsync.errors import InputError, OriginUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

S3_ERRORS = (ClientError, BotoCoreError)
_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}


class S3Place:
    """The keys below ``s3://bucket/prefix``; names are relative to the prefix.

    Credentials come from where boto3 looks for them (environment, profile, instance role).
    :class:`InputError` for a URL that is none.
    """

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise InputError(f"{url}: not a bucket; write s3://bucket/prefix")
        self.bucket = parts.netloc
        prefix = parts.path.strip("/")
        self.prefix = f"{prefix}/" if prefix else ""
        # Servers other than S3 rarely have a host name per bucket, or know its newer checksums.
        style: Any = {"addressing_style": "path" if endpoint_url else "auto"}
        checksums: Any = "when_required" if endpoint_url else "when_supported"
        self.client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            config=Config(
                s3=style,
                connect_timeout=3,
                read_timeout=10,
                retries={"total_max_attempts": 2},
                request_checksum_calculation=checksums,
                response_checksum_validation=checksums,
            ),
        )

    def listed(self, below: str = "") -> Iterator[tuple[str, str]]:
        """Name and ETag, unquoted, of everything whose name begins with ``below``.

        :class:`OriginUnavailable` while the store cannot be asked.
        """
        try:
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + below):
                for entry in page.get("Contents", []):
                    # Not every server quotes it here as it does in a header.
                    yield entry["Key"].removeprefix(self.prefix), entry["ETag"].strip('"')
        except S3_ERRORS as error:
            raise self.unavailable("", error) from error

    def unavailable(self, name: str, error: Exception) -> OriginUnavailable:
        return OriginUnavailable(f"s3://{self.bucket}/{self.prefix}{name}: {error}")


def is_not_found(error: Exception) -> bool:
    """Whether the store says that there is no such object."""
    code = error.response["Error"].get("Code") if isinstance(error, ClientError) else ""
    return code in _NOT_FOUND
