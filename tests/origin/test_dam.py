"""One suite over both asset stores; the S3 server is a real one."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvsync.errors import InputError, OriginUnavailable
from origin.dam import AssetNotFound, Dam, FolderDam, content_digest, name_of_path
from origin.settings import open_dam

RED = b"\xff\xd8 a red shoe"
BLUE = b"\xff\xd8 a blue shoe, longer"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Dam, Path]:
    """An asset store and the folder that backs it."""
    if request.param == "folder":
        return FolderDam(tmp_path), tmp_path
    request.getfixturevalue("s3_credentials")
    endpoint, bucket = request.getfixturevalue("s3_server")
    folder = bucket / tmp_path.name
    folder.mkdir()
    return open_dam(f"s3://bucket/{tmp_path.name}", endpoint), folder


def test_it_lists_what_is_there(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    (folder / "sub").mkdir()
    (folder / "red.jpg").write_bytes(RED)
    (folder / "sub" / "blue one.png").write_bytes(BLUE)
    assert list(dam.list()) == ["red.jpg", "sub/blue one.png"]


def test_a_listing_has_the_etags_that_each_has(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    (folder / "red.jpg").write_bytes(RED)
    (folder / "blue.jpg").write_bytes(BLUE)
    found = dict(dam.etags())
    assert found == {name: dam.stat(name).etag for name in ("red.jpg", "blue.jpg")}


def test_an_event_names_an_original_by_its_key(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    inside = "red.jpg" if isinstance(dam, FolderDam) else f"{folder.name}/red.jpg"
    assert dam.name_of_key(inside) == "red.jpg"
    if not isinstance(dam, FolderDam):
        assert dam.name_of_key("elsewhere/red.jpg") is None


def test_a_store_that_is_gone_is_not_ready(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    dam.check()
    bucket = folder if isinstance(dam, FolderDam) else folder.parent
    moved = bucket.rename(bucket.with_name("moved"))
    with pytest.raises(OriginUnavailable):
        dam.check()
    moved.rename(bucket)


def test_it_opens_an_original_with_what_http_needs(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    (folder / "red.jpg").write_bytes(RED)
    info, data = dam.open("red.jpg")
    assert data == RED
    assert info.size == len(RED)
    assert info.media_type == "image/jpeg"
    assert info.etag.startswith('"') and info.etag.endswith('"') and len(info.etag) > 20
    assert info.last_modified.tzinfo is UTC
    assert abs(datetime.now(UTC) - info.last_modified) < timedelta(minutes=1)


def test_stat_and_open_agree(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    (folder / "red.webp").write_bytes(RED)
    assert dam.stat("red.webp") == dam.open("red.webp")[0] == dam.stat("red.webp")


def test_what_is_put_in_is_what_comes_out(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    (folder / "red.jpg").write_bytes(BLUE)
    dam.put("red.jpg", RED)
    info, data = dam.open("red.jpg")
    assert data == RED and info.media_type == "image/jpeg"
    with pytest.raises(AssetNotFound):
        dam.put("../red.jpg", RED)


def test_the_etag_follows_the_content(store: tuple[Dam, Path]) -> None:
    dam, folder = store
    path = folder / "red.jpg"
    path.write_bytes(RED)
    before = dam.stat("red.jpg")
    path.write_bytes(BLUE)
    after = dam.stat("red.jpg")
    assert after.etag != before.etag and after.size == len(BLUE)


@pytest.mark.parametrize(
    "name",
    ["", "none.jpg", "..", "../secret", "sub/../../secret", "/etc/passwd", "a//b", "./a", "a\\b"],
)
def test_what_is_not_in_it_is_not_found(store: tuple[Dam, Path], name: str) -> None:
    dam, folder = store
    (folder.parent / "secret").write_bytes(b"secret")
    for call in (dam.stat, dam.open):
        with pytest.raises(AssetNotFound):
            call(name)


def test_a_link_that_leads_out_of_the_folder_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "originals"
    root.mkdir()
    (root / "link.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(AssetNotFound):
        FolderDam(root).open("link.jpg")


def test_hidden_files_are_not_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".htpasswd").write_bytes(b"secret")
    assert list(FolderDam(tmp_path).list()) == []
    with pytest.raises(AssetNotFound):
        FolderDam(tmp_path).stat(".htpasswd")


def test_a_replaced_file_of_the_same_size_and_time_has_a_new_etag(tmp_path: Path) -> None:
    path, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    for file in (path, other):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    dam = FolderDam(tmp_path)
    before = dam.stat("a.jpg").etag
    other.rename(path)
    assert dam.stat("a.jpg").etag != before


@pytest.mark.usefixtures("s3_credentials")
def test_an_s3_server_that_is_gone_is_unavailable(free_port: int) -> None:
    with pytest.raises(OriginUnavailable, match="s3://bucket/a.jpg"):
        open_dam("s3://bucket", f"http://127.0.0.1:{free_port}").open("a.jpg")


@pytest.mark.parametrize("where", ["", "folder:", "ftp://x", "s3:", "s3:///key", "folder:/none/at"])
def test_a_store_that_cannot_be_is_refused_by_name(where: str) -> None:
    with pytest.raises(InputError, match=r"ORIGIN_DAM|not a bucket"):
        open_dam(where, None)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/rumba/red.jpg", "red.jpg"), ("/rumba/a%20b.jpg", "a b.jpg"), ("/rumba/%C3%A9", "é")],
)
def test_a_url_path_names_an_original(path: str, name: str) -> None:
    assert name_of_path(path, "/rumba/") == name


@pytest.mark.parametrize(
    "path", ["/other/a", "/rumba/", "/rumba/a%2F..%2Fb", "/rumba/%FF", "/rumba"]
)
def test_a_url_path_outside_the_store_is_not_found(path: str) -> None:
    with pytest.raises(AssetNotFound):
        name_of_path(path, "/rumba/")


def test_content_digests_never_change() -> None:
    assert content_digest(b"").hex()[:16] == "0e5751c026e543b2"
