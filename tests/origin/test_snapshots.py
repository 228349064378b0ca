"""Snapshots in their bucket, a folder or a real S3 server: made, replaced, read back whole."""

import threading
from pathlib import Path

import pytest

from kvsync.errors import InputError, OriginUnavailable
from kvsync.log import Entry, Put, Skipped
from kvsync.signing import SigningKey
from kvsync.snapshot import SnapshotManifest, unpack_piece
from origin.bucket import Bucket
from origin.bucket_s3 import S3Bucket
from origin.database import Database
from origin.settings import open_snapshots, read_settings
from origin.sync.snapshots import NoSnapshot, Snapshots
from tests.origin.log_world import SHOP, LogWorld, key_of


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> LogWorld:
    return LogWorld(Database(f"sqlite:///{tmp_path}/origin.db"), store_url)


@pytest.fixture
def snapshots(world: LogWorld, bucket: Bucket) -> Snapshots:
    return Snapshots(world.database, bucket, world.key)


def everything(world: LogWorld, snapshots: Snapshots, least: int = 0) -> list[Entry | Skipped]:
    """What a region makes of the last snapshot."""
    signed = snapshots.manifest(SHOP, least)
    manifest = SnapshotManifest.from_signed(signed, world.keys, property=SHOP)
    found: list[Entry | Skipped] = []
    for piece in manifest.pieces:
        found += unpack_piece(snapshots.piece(SHOP, piece.digest.hex()), piece)
    return found


def test_a_region_reads_what_is_in_force(world: LogWorld, snapshots: Snapshots) -> None:
    world.publish(1, 2, 3)
    world.revoke(2)
    world.run(4)
    found = everything(world, snapshots)
    assert [one.seq for one in found] == [1, 3, 4, 5]
    assert Put(1, key_of(1), b"Put 1 at 1") in found


def test_pieces_stay_for_one_snapshot_more(world: LogWorld, snapshots: Snapshots) -> None:
    made = []
    for number in range(3):
        world.run(number)
        made.append(snapshots.make(SHOP).pieces[0].digest.hex())
    with pytest.raises(NoSnapshot):
        snapshots.piece(SHOP, made[0])
    assert snapshots.piece(SHOP, made[1]) and snapshots.piece(SHOP, made[2])


def test_a_new_one_is_made_only_where_the_last_ends_too_early(
    world: LogWorld, snapshots: Snapshots
) -> None:
    world.run(1)
    first = snapshots.manifest(SHOP, 0)
    world.run(2)
    assert snapshots.manifest(SHOP, 1) == first
    assert len(everything(world, snapshots, least=2)) == 2


def test_regions_that_ask_at_once_are_given_the_same_one(
    world: LogWorld, snapshots: Snapshots
) -> None:
    world.run(1, 2)
    start, given = threading.Barrier(4), []

    def ask() -> None:
        start.wait()
        given.append(snapshots.manifest(SHOP, 2))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 1


@pytest.mark.parametrize("left", [b"", b"not a manifest"])
def test_what_is_no_manifest_of_ours_is_made_anew(
    world: LogWorld, snapshots: Snapshots, bucket: Bucket, left: bytes
) -> None:
    world.run(1)
    Snapshots(world.database, bucket, SigningKey.generate()).make(SHOP)
    assert snapshots.last(SHOP) is None
    bucket.write(f"{SHOP}/manifest", left)
    assert len(everything(world, snapshots)) == 1


@pytest.mark.parametrize("name", ["0" * 64, "manifest", "../" * 20 + "keys", "x" * 64])
def test_only_pieces_are_given_out(world: LogWorld, snapshots: Snapshots, name: str) -> None:
    world.run(1)
    snapshots.make(SHOP)
    with pytest.raises(NoSnapshot):
        snapshots.piece(SHOP, name)


def test_a_bucket_that_is_gone_is_unavailable(
    world: LogWorld, free_port: int, s3_credentials: None
) -> None:
    gone = S3Bucket("s3://bucket/x", f"http://127.0.0.1:{free_port}")
    with pytest.raises(OriginUnavailable, match="s3://bucket/x"):
        Snapshots(world.database, gone, world.key).make(SHOP)


def test_a_place_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORIGIN_SNAPSHOTS", "/var/snapshots")
    with pytest.raises(InputError, match="ORIGIN_SNAPSHOTS"):
        open_snapshots(read_settings())
