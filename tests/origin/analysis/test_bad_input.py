"""Whatever is wrong with a file or a listing is counted, shown and skipped; the rest goes on."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from origin.analysis.descriptor import thumbnail
from origin.analysis.listing import FolderPlace
from origin.analysis.looking import Progress
from origin.analysis.store import Store
from origin.analysis.survey import Inventory, take_stock


def silent(_doing: str, _progress: Progress) -> None:
    pass


def encoded(image: Image.Image, form: str, **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def picture() -> Image.Image:
    image = Image.linear_gradient("L").convert("RGB")
    image.paste("red", (40, 60, 120, 200))
    return image


def truncated() -> bytes:
    whole = encoded(picture(), "JPEG")
    return whole[: len(whole) // 2]


def sixteen_bits() -> bytes:
    return encoded(Image.new("I;16", (64, 64), 40_000), "PNG")


def animated() -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def hundred_megapixels() -> bytes:
    """A PNG that says it is 10,000 x 10,000, with nothing behind its header."""
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"")]
    packed = [
        struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


BAD: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "truncated": ("cut.jpg", "broken", truncated),
    "mislabelled": ("named.png", "mislabelled", lambda: encoded(picture(), "JPEG")),
    "cmyk": ("print.jpg", "cmyk", lambda: encoded(picture().convert("CMYK"), "JPEG")),
    "16-bit": ("deep.png", "deep", sixteen_bits),
    "animated": ("moves.gif", "animated", animated),
    "zero-byte": ("empty.jpg", "empty", lambda: b""),
    "100-megapixel": ("huge.png", "too-large", hundred_megapixels),
    "not an image": ("page.jpg", "not-an-image", lambda: b"<html>not found</html>"),
    "named as no image": ("read.txt", "not-an-image", lambda: b"words"),
}


def stock_of(folder: Path, tmp_path: Path) -> Inventory:
    with Store(tmp_path / "inventory.db") as store:
        return take_stock(store, "shop", str(folder), FolderPlace(folder), 1, silent)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_counted_shown_and_skipped(case: str, tmp_path: Path) -> None:
    name, kind, data = BAD[case]
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / name).write_bytes(data())
    (folder / "whole.jpg").write_bytes(encoded(picture(), "JPEG"))
    found = stock_of(folder, tmp_path)
    assert found.skipped == {kind: 1} and found.counts.assets == 2
    assert found.examples[kind][0].startswith(name)


def test_a_picture_that_exif_turns_is_counted_and_read_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    upright = picture()
    lying = encoded(upright.rotate(90, expand=True), "JPEG", exif=exif, quality=95)
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "turned.jpg").write_bytes(lying)
    assert stock_of(folder, tmp_path).turned == 1
    small, _, width, height, turned = thumbnail(lying)
    straight = thumbnail(encoded(upright, "JPEG", quality=95))[0]
    assert turned and (width, height) == upright.size
    assert abs(small.astype(int) - straight.astype(int)).mean() < 3


def test_a_file_that_cannot_be_opened_is_told_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "whole.jpg").write_bytes(encoded(picture(), "JPEG"))

    class Failing(FolderPlace):
        def read(self, path: str) -> bytes:
            raise OSError("the disk says no")

    with Store(tmp_path / "inventory.db") as store:
        first = take_stock(store, "shop", "here", Failing(folder), 1, silent)
        second = take_stock(store, "shop", "here", FolderPlace(folder), 1, silent)
    assert first.skipped == {"unreadable": 1} and second.skipped == {}


def test_a_folder_that_cannot_be_listed_keeps_what_was_known_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "locked").mkdir(parents=True)
    for name in ("locked/a.jpg", "b.jpg"):
        (folder / name).write_bytes(encoded(picture(), "JPEG"))

    class Locked(FolderPlace):
        def _below(self, folder: str, after: str):  # type: ignore[no-untyped-def]
            if folder == "locked/":
                self.errors.append("locked/: cannot be listed: Permission denied")
                self.unlisted.append(folder)
                return
            yield from super()._below(folder, after)

    with Store(tmp_path / "inventory.db") as store:
        take_stock(store, "shop", "here", FolderPlace(folder), 1, silent)
        found = take_stock(store, "shop", "here", Locked(folder), 1, silent)
    assert found.counts.assets == 2 and found.gone == 0 and "Permission denied" in found.errors[0]
