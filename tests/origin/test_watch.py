"""Originals that change or vanish in the asset store, found or told of."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from kvsync.errors import BadRequest, OriginUnavailable
from origin.approved import Approved
from origin.cli import app
from origin.live import live_records
from origin.qa import import_approved
from origin.settings import open_dam
from origin.site import Site
from origin.sync.watch import StoreEvents, Watcher
from origin.workplace import Workplace
from tests.origin.running import running_origin

RED = "/rumba/red-white.jpg"
ApproveAll = Callable[[], list[Approved]]


def published(place: Workplace) -> set[str]:
    with place.database.reading() as session:
        return {row.asset.path for row in session.scalars(live_records("rumba"))}


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def watcher(place: Workplace, approve_all: ApproveAll, told: list[str]) -> Watcher:
    """A watcher of four published originals."""
    approve_all()
    assert CliRunner().invoke(app, ["publish"]).exit_code == 0
    return Watcher(
        place.database, {"rumba": place.site}, place.key, lambda: told.append("withdrawn")
    )


def event(*keys: str, name: str = "ObjectCreated:Put") -> bytes:
    """A notification as S3 sends it, with more in it than is read."""
    records = [
        {"eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1}}}
        for key in keys
    ]
    return json.dumps({"Records": records}).encode()


def test_nothing_is_withdrawn_while_nothing_changes(
    watcher: Watcher, place: Workplace, told: list[str]
) -> None:
    assert watcher.look(place.site) == {}
    assert watcher.told(place.site, event("red-white.jpg", "none.jpg", "../x")) == {}
    assert len(published(place)) == 4 and told == []


def test_a_changed_original_and_a_deleted_one_take_their_records_with_them(
    watcher: Watcher, place: Workplace, gallery: Path, told: list[str]
) -> None:
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    (gallery / "pictures" / "blue-grey.jpg").unlink()
    found = watcher.look(place.site)
    assert set(found) == {RED, "/rumba/blue-grey.jpg"}
    assert "changed" in found[RED] and "not in the asset store" in found["/rumba/blue-grey.jpg"]
    assert published(place) == {"/rumba/blue-white.jpg", "/rumba/red-grey.jpg"}
    assert told == ["withdrawn"] and watcher.look(place.site) == {}


def test_an_original_uploaded_anew_keeps_its_record(
    watcher: Watcher, place: Workplace, gallery: Path
) -> None:
    path = gallery / "pictures" / "red-white.jpg"
    path.write_bytes(path.read_bytes())
    assert watcher.look(place.site) == {} and len(published(place)) == 4


@pytest.mark.parametrize("name", ["ObjectCreated:Put", "ObjectRemoved:Delete"])
def test_an_event_is_a_hint_and_the_store_decides(
    watcher: Watcher, place: Workplace, gallery: Path, name: str
) -> None:
    assert watcher.told(place.site, event("red-white.jpg", name=name)) == {}
    (gallery / "pictures" / "red-white.jpg").unlink()
    (gallery / "pictures" / "red-grey.jpg").unlink()
    assert set(watcher.told(place.site, event("red-white.jpg", name=name))) == {RED}
    assert "/rumba/red-grey.jpg" in published(place)


def test_names_in_events_are_escaped_as_s3_does() -> None:
    assert StoreEvents.keys_of(event("a+b%2Bc.jpg", "caf%C3%A9.jpg")) == ["a b+c.jpg", "café.jpg"]
    for wrong in (b"", b"{}", b'{"Records": [{}]}', b'{"Records": 7}'):
        with pytest.raises(BadRequest):
            StoreEvents.keys_of(wrong)


def test_a_store_that_is_gone_withdraws_nothing(
    watcher: Watcher, place: Workplace, gallery: Path
) -> None:
    (gallery / "pictures").rename(gallery / "elsewhere")
    with pytest.raises(OriginUnavailable):
        watcher.look(place.site)
    assert len(published(place)) == 4


def test_a_store_that_is_suddenly_empty_withdraws_nothing(
    watcher: Watcher, place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    pictures = gallery / "pictures"
    for number in range(20):
        (pictures / f"red-{number}.jpg").write_bytes(b"picture %d" % number)
    approve_all()
    assert CliRunner().invoke(app, ["publish"]).exit_code == 0
    for path in pictures.iterdir():
        path.unlink()
    with pytest.raises(OriginUnavailable, match="24 of 24 originals are gone"):
        watcher.look(place.site)
    assert len(published(place)) == 24


def test_a_bucket_is_watched_like_a_folder(
    place: Workplace,
    approve_all: ApproveAll,
    s3_server: tuple[str, Path],
    s3_credentials: None,
    tmp_path: Path,
) -> None:
    endpoint, bucket = s3_server
    folder = bucket / tmp_path.name
    folder.mkdir()
    for name in ("red-white.jpg", "blue-grey.jpg"):
        (folder / name).write_bytes(place.site.dam.open(name)[1])
    site = Site(place.site.rules, open_dam(f"s3://bucket/{tmp_path.name}", endpoint))
    entries = {one.path: one for one in approve_all()}
    there = [
        replace(one, original=replace(one.original, validator=site.dam.stat(name).etag))
        for name in ("red-white.jpg", "blue-grey.jpg")
        for one in [entries[f"/rumba/{name}"]]
    ]
    import_approved(place.database, site, there)
    assert CliRunner().invoke(app, ["publish"]).exit_code == 0
    watcher = Watcher(place.database, {"rumba": site}, place.key, lambda: None)
    (folder / "red-white.jpg").write_bytes(b"another picture")
    found = watcher.told(site, event(f"{tmp_path.name}/red-white.jpg"))
    assert set(found) == {RED}
    assert watcher.told(site, event("elsewhere/blue-grey.jpg")) == {}


@pytest.fixture
def web(
    environment: None, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> Iterator[httpx2.Client]:
    monkeypatch.setenv("ORIGIN_DAM_TOKEN", "secret")
    monkeypatch.setenv("ORIGIN_DAM_WATCH_S", "0.1")
    with running_origin(free_port) as client:
        yield client


def test_the_service_takes_events_from_who_has_the_token(
    watcher: Watcher, web: httpx2.Client, gallery: Path
) -> None:
    path = "/v1/dam/rumba/events"
    for headers in ({}, {"authorization": "Bearer guess"}):
        assert web.post(path, content=event("red-white.jpg"), headers=headers).status_code == 403
    allowed = {"authorization": "Bearer secret"}
    answer = web.post(path, content=event("red-white.jpg"), headers=allowed)
    assert (answer.status_code, answer.json()) == (200, {"withdrawn": []})
    assert web.post("/v1/dam/hats/events", content=b"{}", headers=allowed).status_code == 403
    assert web.post(path, content=b"[]", headers=allowed).status_code == 400


def test_the_service_watches_by_itself(
    watcher: Watcher, place: Workplace, web: httpx2.Client, gallery: Path
) -> None:
    (gallery / "pictures" / "red-white.jpg").unlink()
    deadline = time.monotonic() + 60
    while RED in published(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert published(place) == {
        "/rumba/blue-white.jpg",
        "/rumba/red-grey.jpg",
        "/rumba/blue-grey.jpg",
    }
