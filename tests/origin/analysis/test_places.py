"""Buckets by their own listing, and S3 inventories of either kind, come to the same files."""

import gzip
import json
import pickle
from pathlib import Path

import duckdb
import pytest

from kvsync.errors import InputError, OriginUnavailable
from origin.analysis.listing import BucketPlace, open_place
from origin.analysis.place import Listed, Place

NAMES = ["a b.jpg", "mugs/blue.jpg", "mugs/red.jpg", "z.jpg"]


def names(place: Place, after: str = "") -> list[str]:
    return [one.path for page in place.pages(after) for one in page]


@pytest.fixture
def bucket(s3_server: tuple[str, Path], s3_credentials: None) -> BucketPlace:
    url, folder = s3_server
    for name in NAMES:
        path = folder / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return BucketPlace("s3://bucket/inventory", url)


def test_a_bucket_is_listed_in_order_and_from_anywhere(bucket: BucketPlace) -> None:
    assert names(bucket) == NAMES
    assert names(bucket, "mugs/blue.jpg") == ["mugs/red.jpg", "z.jpg"]
    assert bucket.read("a b.jpg") == b"a b.jpg"
    assert names(pickle.loads(pickle.dumps(bucket))) == NAMES


def test_a_bucket_that_is_not_there_says_so(
    bucket: BucketPlace, s3_server: tuple[str, Path]
) -> None:
    with pytest.raises(OriginUnavailable):
        names(BucketPlace("s3://nowhere", s3_server[0]))


def inventory_rows() -> str:
    lines = ['"bucket","z.jpg","5","2026-11-20T10:00:00.000Z","e2"']
    lines += ['"bucket","a+b.jpg","7","2026-11-20T10:00:00.000Z","e1"']
    lines += ['"bucket","mugs%2Fred.jpg","9","2026-11-20T10:00:00.000Z","e3"']
    return "\n".join(lines) + "\n"


def test_an_s3_inventory_as_csv_as_s3_writes_it(tmp_path: Path) -> None:
    listing = tmp_path / "part.csv.gz"
    listing.write_bytes(gzip.compress(inventory_rows().encode()))
    place = open_place(str(listing), bytes_from=str(tmp_path))
    (page,) = place.pages("")
    assert [one.path for one in page] == ["a b.jpg", "mugs/red.jpg", "z.jpg"]
    assert page[0] == Listed("a b.jpg", 7, "e1", "2026-11-20T10:00:00.000Z")
    assert names(place, "a b.jpg") == ["mugs/red.jpg", "z.jpg"]


def test_an_s3_inventory_as_parquet(tmp_path: Path) -> None:
    listing = tmp_path / "part.parquet"
    with duckdb.connect() as base:
        base.execute(
            "COPY (SELECT * FROM (VALUES ('b', 'z.jpg', 5, 'e2'), ('b', 'a+b.jpg', 7, 'e1')) "
            f"AS t(bucket, key, size, e_tag)) TO '{listing}' (FORMAT parquet)"
        )
    place = open_place(str(listing), bytes_from=str(tmp_path))
    assert [(one.path, one.validator) for page in place.pages("") for one in page] == [
        ("a+b.jpg", "e1"),
        ("z.jpg", "e2"),
    ]


def delivered(folder: Path, schema: str, rows: str) -> Path:
    """An inventory as S3 delivers it: a manifest by its time, files in a folder ``data``."""
    (folder / "data").mkdir()
    (folder / "data/part.csv.gz").write_bytes(gzip.compress(rows.encode()))
    (folder / "2026-11-20T01-00Z").mkdir()
    manifest = folder / "2026-11-20T01-00Z/manifest.json"
    files = [{"key": "inventories/bucket/all/data/part.csv.gz", "size": 1, "MD5checksum": "x"}]
    told = {"fileFormat": "CSV", "fileSchema": schema, "files": files, "version": "2016-11-30"}
    manifest.write_text(json.dumps(told))
    return manifest


def test_a_manifest_names_its_files_and_columns(tmp_path: Path) -> None:
    schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag, StorageClass"
    rows = (
        '"bucket","mugs%2Fred.jpg","v2","true","false","9","e3","STANDARD"\n'
        '"bucket","mugs%2Fred.jpg","v1","false","false","8","e1","STANDARD"\n'
        '"bucket","gone.jpg","v1","true","true","","",""\n'
    )
    place = open_place(str(delivered(tmp_path, schema, rows)), bytes_from=str(tmp_path))
    (page,) = place.pages("")
    assert page == [Listed("mugs/red.jpg", 9, "e3", "", "STANDARD")]


def test_a_manifest_whose_file_is_missing_says_which(tmp_path: Path) -> None:
    manifest = delivered(tmp_path, "Bucket, Key", "")
    (tmp_path / "data/part.csv.gz").unlink()
    with pytest.raises(InputError, match="its file part.csv.gz is neither beside it"):
        open_place(str(manifest), bytes_from=str(tmp_path))


def test_an_inventory_needs_to_know_where_the_pictures_lie(tmp_path: Path) -> None:
    (tmp_path / "part.csv").write_text(inventory_rows())
    with pytest.raises(InputError, match="--bytes-from"):
        open_place(str(tmp_path / "part.csv"))


def test_a_file_that_is_no_inventory_is_told(tmp_path: Path) -> None:
    (tmp_path / "part.parquet").write_bytes(b"words")
    with pytest.raises(OriginUnavailable, match="not an S3 Inventory"):
        names(open_place(str(tmp_path / "part.parquet"), bytes_from=str(tmp_path)))
