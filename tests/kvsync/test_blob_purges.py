"""Purges of the blob cache, soft ones and those that a disk does not take."""

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from kvsync.blobs import BlobStore, short
from tests.kvsync.blob_world import kilobyte


def soft_at(blobs: BlobStore, key: bytes) -> float:
    found = blobs.read(short(key))
    assert found is not None
    return found.soft_at


def test_a_soft_purge_marks_what_carries_the_tag_and_drops_nothing(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1", ["shop"])
    blobs.put(b"b", b"2")
    assert blobs.purge(["shop"], soft_at=123.5) == 1
    assert blobs.get(b"a") == b"1" and soft_at(blobs, b"a") == 123.5 and soft_at(blobs, b"b") == 0
    blobs.put(b"a", b"3", ["shop"])
    assert soft_at(blobs, b"a") == 0


def test_everything_is_marked_at_once_and_what_comes_later_is_not(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1")
    assert blobs.clear(soft_at=9.0) == 1
    blobs.put(b"b", b"2")
    assert soft_at(blobs, b"a") == 9.0 and soft_at(blobs, b"b") == 0


def test_a_marked_blob_stays_marked_in_its_next_turn(blobs: BlobStore) -> None:
    for number in range(8):
        blobs.put(b"%d" % number, kilobyte(number), ["shop"])
    blobs.purge(["shop"], soft_at=5.0)
    blobs.get(b"0")
    blobs.put(b"8", kilobyte(8))
    assert soft_at(blobs, b"0") == 5.0


@pytest.mark.parametrize(
    ("purge", "kept", "marked"),
    [
        (lambda blobs: blobs.purge(["tango"]), True, 0.0),
        (lambda blobs: blobs.purge(["shop"]), False, 0.0),
        (lambda blobs: blobs.clear(), False, 0.0),
        (lambda blobs: blobs.purge(["shop", "tango"], soft_at=7.0), True, 7.0),
        (lambda blobs: blobs.clear(soft_at=7.0), True, 7.0),
    ],
)
def test_what_was_begun_before_a_purge_meets_it_on_arrival(
    blobs: BlobStore, purge: Callable[[BlobStore], int], kept: bool, marked: float
) -> None:
    begun = blobs.mark()
    purge(blobs)
    assert blobs.put(b"a", b"made before", ["shop"], since=begun) == kept
    assert not kept or soft_at(blobs, b"a") == marked
    assert blobs.put(b"b", b"made after", ["shop"], since=blobs.mark())
    assert soft_at(blobs, b"b") == 0


def test_what_was_begun_before_more_purges_than_are_remembered_is_refused(
    blobs: BlobStore,
) -> None:
    begun = blobs.mark()
    blobs.purge([f"tag-{number}" for number in range(1025)])
    assert not blobs.put(b"a", b"1", since=begun) and blobs.put(b"a", b"1", since=begun + 1)


def test_a_purge_of_many_takes_all_of_them(folder: Path) -> None:
    store = BlobStore(folder, 1 << 20)
    for number in range(1_000):
        store.put(b"%d" % number, b"x", ["shop", "odd" if number % 2 else "even"])
    assert store.purge(["even"]) == 500 and len(store) == 500
    assert store.purge(["shop"], soft_at=1.0) == 500 and store.clear() == 500
    assert len(store) == 0 and store.bytes_used == 0
    store.close()


def test_a_version_stands_for_all_that_was_read(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1", ["shop"])
    read, version = blobs.read(short(b"a")), blobs.version()
    assert read is not None
    name, then = short(b"a"), (read.number, read.soft_at)
    assert blobs.get(b"a") and blobs.version() == version
    blobs.put(b"b", b"2")
    assert blobs.version() > version and blobs.same(name, *then)
    blobs.purge(["shop"], soft_at=3.0)
    assert not blobs.same(name, *then)
    blobs.put(b"a", b"1", ["shop"])
    assert not blobs.same(name, *then)
    blobs.clear()
    assert not blobs.same(name, *then)


def test_a_cache_of_another_layout_is_replaced(folder: Path) -> None:
    with lmdb.open(str(folder), max_dbs=6) as old:
        with old.begin(db=old.open_db(b"blobs"), write=True) as txn:
            txn.put(b"name", b"blob")
    store = BlobStore(folder, 1 << 20)
    assert len(store) == 0 and store.put(b"a", b"1")
    store.close()
    again = BlobStore(folder, 1 << 20)
    assert again.get(b"a") == b"1"
    again.close()


@contextlib.contextmanager
def unwritable() -> Iterator[None]:
    """A disk that takes nothing, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_purge_that_the_disk_does_not_take_leaves_nothing_to_be_read(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1 << 20)
    store.put(b"revoked", b"x", ["tag"])
    store.put(b"other", b"y")
    version = store.version()
    with unwritable():
        assert store.purge(["tag"]) == 0
        assert store.sealed and store.version() != version
        assert store.get(b"revoked") is None and store.get(b"other") is None
    # The disk is well again, but the purge was never written.
    assert store.get(b"revoked") is None
    store.close()
    again = BlobStore(tmp_path, 1 << 20)
    assert again.get(b"revoked") is None
    assert again.put(b"new", b"z") and not again.sealed
    assert again.get(b"new") == b"z"
    assert again.get(b"revoked") is None and again.get(b"other") is None
    again.close()


def test_a_sealed_store_opens_with_a_purge_of_everything(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1 << 20)
    store.put(b"a", b"x", ["tag"])
    with unwritable():
        assert store.clear() == 0 and store.get(b"a") is None
    assert store.clear() == 1 and not store.sealed
    assert store.get(b"a") is None
    store.close()


def test_a_store_opens_again_on_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1 << 20)
    store.put(b"a", b"x")
    store.close()
    with unwritable():
        again = BlobStore(tmp_path, 1 << 20)
        assert again.get(b"a") == b"x"
        again.close()
