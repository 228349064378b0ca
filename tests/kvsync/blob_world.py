"""Blob caches for tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvsync.blobs import BlobStore

KB = 1 << 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def blobs(folder: Path) -> Iterator[BlobStore]:
    """Room for eight blobs of 1 KB."""
    store = BlobStore(folder, 8 * KB)
    yield store
    store.close()


def kilobyte(number: int) -> bytes:
    return bytes([number]) * KB
