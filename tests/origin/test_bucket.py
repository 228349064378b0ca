"""A bucket, on a folder or a real S3 server: one suite for both."""

from pathlib import Path

import pytest

from kvsync.errors import InputError, OriginUnavailable
from origin.bucket import Bucket


def test_an_object_is_what_was_written_last(bucket: Bucket) -> None:
    assert bucket.read("shop/a") is None and bucket.names("shop") == set()
    for data in (b"one", b"two" * 100_000):
        bucket.write("shop/a", data)
        assert bucket.read("shop/a") == data
    bucket.write("shop/b", b"three")
    bucket.write("hats/c", b"four")
    assert bucket.names("shop") == {"a", "b"}
    bucket.remove("shop", {"a", "never there"})
    assert bucket.names("shop") == {"b"} and bucket.names("hats") == {"c"}


def test_a_file_is_copied_in_and_read_in_pieces(bucket: Bucket, tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(b"weights" * 500_000)
    bucket.copy_in("model/unet/weights", source)
    opened = bucket.open("model/unet/weights")
    assert opened is not None and opened.size == 3_500_000
    pieces = list(opened.pieces)
    assert b"".join(pieces) == source.read_bytes() and len(pieces) > 3
    assert bucket.names("model") == {"unet/weights"}
    bucket.remove("model", {"unet/weights"})
    assert bucket.open("model/unet/weights") is None and bucket.names("model") == set()


def test_what_is_not_there_is_neither_copied_nor_opened(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises((InputError, OriginUnavailable)):
        bucket.copy_in("model/weights", tmp_path / "nothing")
    assert bucket.open("model/weights") is None and bucket.names("model") == set()
