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
    size = (folder / "data/part.csv.gz").stat().st_size
    files = [{"key": "inventories/bucket/all/data/part.csv.gz", "size": size}]
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


def test_a_prefix_of_the_bucket_leaves_what_lies_elsewhere_out(
    bucket: BucketPlace, s3_server: tuple[str, Path], tmp_path: Path
) -> None:
    rows = [f'"bucket","inventory/{name}","9"' for name in ("mugs/red.jpg", "a+b.jpg", "z.jpg")]
    rows += ['"bucket","elsewhere/q.jpg","5"', '"bucket","inventory","5"']
    manifest = delivered(tmp_path, "Bucket, Key, Size", "\n".join(rows) + "\n")
    place = open_place(str(manifest), s3_server[0], "s3://bucket/inventory")
    assert names(place) == ["a b.jpg", "mugs/red.jpg", "z.jpg"]
    assert names(place, "a b.jpg") == ["mugs/red.jpg", "z.jpg"]
    assert pickle.loads(pickle.dumps(place)).read("a b.jpg") == b"a b.jpg"


def test_a_whole_copy_of_the_inventories_bucket_has_files_by_their_keys(tmp_path: Path) -> None:
    made = delivered(tmp_path, "Bucket, Key, Size", '"bucket","z.jpg","5"\n')
    told = json.loads(made.read_text())
    told["files"][0]["key"] = "inventories/all/2026/files/part.csv.gz"
    for file in (tmp_path / "inventories/all/2026/files", tmp_path / "inventories/all/2026/now"):
        file.mkdir(parents=True)
    (tmp_path / "data/part.csv.gz").rename(tmp_path / told["files"][0]["key"])
    manifest = tmp_path / "inventories/all/2026/now/manifest.json"
    manifest.write_text(json.dumps(told))
    assert names(open_place(str(manifest), bytes_from=str(tmp_path))) == ["z.jpg"]


def test_a_file_of_another_size_than_its_manifest_says_is_not_whole(tmp_path: Path) -> None:
    manifest = delivered(tmp_path, "Bucket, Key", '"bucket","z.jpg"\n')
    part = tmp_path / "data/part.csv.gz"
    whole = part.stat().st_size
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(InputError, match=f"{whole - 9} bytes, {whole} by its manifest"):
        open_place(str(manifest), bytes_from=str(tmp_path))


def test_a_file_that_ends_in_its_middle_breaks_the_listing_off(tmp_path: Path) -> None:
    listing = tmp_path / "part.csv.gz"
    listing.write_bytes(gzip.compress(inventory_rows().encode())[:-20])
    with pytest.raises(OriginUnavailable, match=r"part\.csv\.gz: not an S3 Inventory"):
        names(open_place(str(listing), bytes_from=str(tmp_path)))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("Bucket, Name, Size", "no column Key among Bucket, Name, Size"),
        ("Bucket, Size, Key", "a size of 'z.jpg' for '5'"),
    ],
)
def test_wrong_columns_are_refused_and_are_no_empty_bucket(
    tmp_path: Path, schema: str, said: str
) -> None:
    place = open_place(
        str(delivered(tmp_path, schema, '"bucket","z.jpg","5"\n')), bytes_from=str(tmp_path)
    )
    with pytest.raises(InputError, match=said):
        names(place)


def test_fewer_columns_than_the_manifest_names_are_told(tmp_path: Path) -> None:
    manifest = delivered(tmp_path, "Bucket, Key, Size, ETag", '"bucket","z.jpg","5"\n')
    with pytest.raises(OriginUnavailable, match="Number of Columns: 4 Found: 3"):
        names(open_place(str(manifest), bytes_from=str(tmp_path)))


def test_columns_that_only_a_manifest_names_need_it(tmp_path: Path) -> None:
    listing = tmp_path / "part.csv"
    listing.write_text('"bucket","z.jpg","v1","true","false","5"\n')
    with pytest.raises(InputError, match=r"6 columns without a header; give the manifest\.json"):
        names(open_place(str(listing), bytes_from=str(tmp_path)))


@pytest.mark.parametrize("where", ["symlink.txt", "part.orc"])
def test_what_is_neither_folder_nor_inventory_is_said(tmp_path: Path, where: str) -> None:
    (tmp_path / where).touch()
    with pytest.raises(InputError, match="neither a folder nor an S3 Inventory"):
        open_place(str(tmp_path / where), bytes_from=str(tmp_path))


def test_an_inventory_that_still_lies_in_its_bucket_is_to_be_copied(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="copy its files"):
        open_place("s3://inventories/shop/all/2026-11-20T01-00Z/manifest.json", None, "s3://shop")


@pytest.mark.parametrize("key", ["../outside.jpg", "/outside.jpg", "mugs/../../outside.jpg"])
def test_a_key_that_leads_out_of_the_folder_is_not_read(tmp_path: Path, key: str) -> None:
    (tmp_path / "outside.jpg").write_bytes(b"not theirs")
    (tmp_path / "shop/mugs").mkdir(parents=True)
    with pytest.raises(OriginUnavailable, match="not below"):
        open_place(str(tmp_path / "shop")).read(key)
