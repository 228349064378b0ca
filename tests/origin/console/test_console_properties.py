"""Properties and families as people make them."""

from collections.abc import Callable

import pytest

from kvsync.errors import InputError
from kvsync.property import read_properties
from origin.console.desk import Desk
from origin.console.property_files import PropertyFiles, as_toml, read_draft
from origin.console.tables import Role
from tests.origin.console.conftest import SAMPLE, Room
from tests.origin.console.visitor import Visitor

FORM: dict[str, object] = {
    "id": "samba",
    "hosts": "www.samba.example img.samba.example",
    "like": "rumba",
    "significant": "v",
    "rendition": "w=width",
    "refused": "token",
}


def test_every_shipped_property_is_written_as_it_was_read(desk: Desk) -> None:
    from pathlib import Path

    from kvsync.property import parse_property

    for one in PropertyFiles(desk.origin.properties_dir).read().values():
        assert parse_property(as_toml(one).encode(), Path("again.toml")) == one


def test_a_property_is_tried_on_urls_before_it_is_written(
    logged_in: Callable[[Role], Visitor], room: Room
) -> None:
    visitor = logged_in("admin")
    urls = "https://www.samba.example/samba/a.jpg?v=2&w=9&utm=x\n/samba/a.jpg?token=1"
    shown = visitor.post("/properties/try", {**FORM, "urls": urls}).text
    assert "samba /samba/a.jpg v=2" in shown and "is refused here" in shown
    assert "samba" not in read_properties(room.folder / "properties")


def test_a_property_is_written_down_once_and_known_at_once(
    logged_in: Callable[[Role], Visitor], room: Room
) -> None:
    visitor = logged_in("admin")
    visitor.get("/properties/new")
    try:
        assert visitor.post("/properties", FORM).headers["location"].startswith("/p/samba")
        found = read_properties(room.folder / "properties")["samba"]
        assert found.query.rendition == {"w": "width"} and found.renditions.widths
        assert "SYNC_PROPERTIES" in visitor.get("/properties/samba").text
        assert "/p/samba" in visitor.get("/").text
        again = visitor.post("/properties", FORM)
        assert again.status_code == 422 and "already" in again.text
    finally:
        (room.folder / "properties" / "samba.toml").unlink(missing_ok=True)


def test_originals_of_a_new_property_go_in_without_a_restart(
    logged_in: Callable[[Role], Visitor], room: Room
) -> None:
    visitor = logged_in("admin")
    visitor.get("/properties/new")
    visitor.post("/properties", FORM)
    try:
        visitor.get("/p/samba/originals")
        picture = next((SAMPLE / "gallery").glob("*.jpg")).read_bytes()
        shown = visitor.http.post(
            "/p/samba/originals/preview",
            data={"csrf": visitor.csrf},
            files={"files": ("samba_red.jpg", picture, "image/jpeg")},
        )
        upload = shown.text.partition('name="upload" value="')[2].partition('"')[0]
        visitor.post("/p/samba/originals", {"upload": upload})
        assert (room.folder / "stores" / "samba" / "samba_red.jpg").read_bytes() == picture
        tried = visitor.post("/p/samba/families/try", {"pattern": "samba_{lace}.jpg"})
        assert "red" in tried.text
    finally:
        (room.folder / "properties" / "samba.toml").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "../x"}, "id must be"),
        ({"id": "rumba"}, "already"),
        ({"hosts": "localhost"}, "belongs to two properties"),
        ({"hosts": "https://x"}, "bare name"),
        ({"rendition": "w"}, "write it like"),
        ({"rendition": "w=colour"}, "unknown colour"),
        ({"significant": "token"}, "in two classes"),
        ({"like": "nobody"}, "no property"),
    ],
)
def test_a_property_that_cannot_be_says_why(desk: Desk, change: dict[str, str], why: str) -> None:
    given = {name: str(value) for name, value in {**FORM, **change}.items()}
    with pytest.raises(InputError, match=why):
        PropertyFiles(desk.origin.properties_dir).rules_of(read_draft(**given))


def test_a_family_is_made_of_names_and_gives_the_manifest_to_train_with(
    logged_in: Callable[[Role], Visitor], desk: Desk
) -> None:
    visitor = logged_in("operator")
    visitor.get("/p/rumba/families/new")
    pattern = "rumba_{lace}_{sole}_front.jpg"
    tried = visitor.post("/p/rumba/families/try", {"pattern": pattern}).text
    assert "originals fit" in tried and "lace" in tried
    made = visitor.post("/p/rumba/families", {"name": "fronts", "pattern": pattern})
    assert made.status_code == 303 and "fronts" in desk.families("rumba")
    manifest = visitor.get("/p/rumba/families/fronts/manifest.json").json()
    assert manifest["family"] == "fronts" and manifest["assets"][0]["attributes"]["lace"]
    assert pattern in visitor.get("/p/rumba").text
    nothing = visitor.post("/p/rumba/families/try", {"pattern": "x_{y}.png"})
    assert nothing.status_code == 422 and "No original" in nothing.text
