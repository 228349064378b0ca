"""Pictures that people upload: shown before they go in, and harmless where they are bombs."""

import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.originals import examine, look_at, put_in
from origin.console.tables import Role
from origin.sites import Sites
from tests.origin.console.conftest import SAMPLE
from tests.origin.console.visitor import Visitor


def picture(form: str, size: tuple[int, int] = (64, 48)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, form)
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int) -> bytes:
    """A small file that says it is a very large picture."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + head + body + _chunk(b"IEND", b"")


@pytest.fixture
def store(desk: Desk, tmp_path: Path) -> Desk:
    """A desk whose asset store may be written to."""
    shutil.copy(SAMPLE / "gallery" / "rumba_red_white_front.jpg", tmp_path)
    settings = desk.origin.model_copy(update={"dam": {"rumba": f"folder:{tmp_path}"}})
    return replace(desk, sites=Sites(settings))


@pytest.mark.parametrize(
    ("name", "form"), [("a.jpg", "JPEG"), ("a.png", "PNG"), ("a.webp", "WEBP"), ("a.avif", "AVIF")]
)
def test_a_picture_is_decoded_and_measured(name: str, form: str) -> None:
    found = examine(name, picture(form))
    assert (found.width, found.height) == (64, 48) and found.thumb


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is refused"),
        ("a.png", b"  <?xml version='1.0'?><svg/>", "SVG is refused"),
        ("a.gif", picture("GIF"), "must end in"),
        ("a.png", picture("GIF"), "no JPEG, PNG, WebP or AVIF"),
        ("a.png", picture("JPEG"), "its name says PNG"),
        ("../a.png", picture("PNG"), "letters, digits"),
        (".a.png", picture("PNG"), "letters, digits"),
        ("a.png", png_of(60_000, 60_000), "megapixels|bomb|exceeds"),
        ("a.png", png_of(7_000, 7_000), "damaged"),
        ("a.jpg", picture("JPEG", (640, 480))[:400], "damaged|no JPEG"),
        ("a.jpg", bytes((20 << 20) + 1), "20 at most"),
    ],
)
def test_what_is_no_picture_or_a_bomb_is_refused(name: str, data: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        examine(name, data)


def test_a_preview_tells_new_ones_from_those_that_are_there(
    store: Desk, person: Callable[[Role], Person], tmp_path: Path
) -> None:
    name = "rumba_red_white_front.jpg"
    same = look_at(store, "rumba", name, (tmp_path / name).read_bytes())
    other = look_at(store, "rumba", name, picture("JPEG"))
    new = look_at(store, "rumba", "new.png", picture("PNG"))
    bad = look_at(store, "rumba", "bad.svg", b"<svg/>")
    verdicts = [one.verdict for one in (same, other, new, bad)]
    assert verdicts == ["the same is there", "replaces another", "new", "refused"]
    assert put_in(store, "rumba", [same, other, new, bad], person("operator")) == 2
    assert (tmp_path / name).read_bytes() == picture("JPEG")
    assert (tmp_path / "new.png").exists() and not (tmp_path / "bad.svg").exists()


def test_a_page_shows_the_pictures_before_they_go_in(
    logged_in: Callable[[Role], Visitor],
) -> None:
    visitor = logged_in("operator")
    visitor.get("/p/rumba/originals")
    files = [
        ("files", ("new.png", picture("PNG"), "image/png")),
        ("files", ("evil.svg", b"<svg/>", "image/svg+xml")),
    ]
    answer = visitor.http.post(
        "/p/rumba/originals/preview", data={"csrf": visitor.csrf}, files=files
    )
    assert answer.status_code == 200
    assert "data:image/webp;base64," in answer.text and "SVG is refused" in answer.text
    assert answer.text.count('name="upload"') == 1
