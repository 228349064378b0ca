"""A gallery is read whole or refused in one clear line that names the file."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from kvsync.errors import InputError
from origin.gallery import read_gallery


def _gallery(folder: Path, size: tuple[int, int] = (16, 12), **manifest: Any) -> Path:
    assets: list[dict[str, Any]] = []
    for colour in ("red", "blue"):
        Image.new("RGB", size, colour).save(folder / f"{colour}.png")
        attributes = {"paint": colour, "doors": 3}
        assets.append({"file": f"{colour}.png", "attributes": attributes, "bytes": 9})
    content = {"family": "cars", "assets": assets} | manifest
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def test_a_gallery_knows_its_family_size_and_attributes(tmp_path: Path) -> None:
    gallery = read_gallery(_gallery(tmp_path))
    assert (gallery.family, gallery.width, gallery.height) == ("cars", 16, 12)
    assert gallery.attributes == ("paint", "doors")
    assert gallery.values("paint") == ("blue", "red") and gallery.values("doors") == ("3",)


def test_pixels_are_8_bit_srgb(tmp_path: Path) -> None:
    gallery = read_gallery(_gallery(tmp_path))
    pixels = gallery.pixels(gallery.assets[0])
    assert pixels.shape == (12, 16, 3) and pixels.dtype == np.uint8
    assert tuple(pixels[0, 0]) == (255, 0, 0)


def test_a_prompt_is_one_phrase_per_attribute(tmp_path: Path) -> None:
    gallery = read_gallery(_gallery(tmp_path))
    assert gallery.prompt({"lace": "red", "view": "front"}) == "red lace, front view"


def test_the_manifest_may_give_the_phrase(tmp_path: Path) -> None:
    gallery = read_gallery(_gallery(tmp_path, prompt="{name} in {value}"))
    assert gallery.prompt({"lace": "red"}) == "lace in red"


def test_transparency_is_laid_over_the_background(tmp_path: Path) -> None:
    folder = _gallery(tmp_path, background="#00ff00")
    Image.new("RGBA", (16, 12), (255, 0, 0, 0)).save(folder / "red.png")
    gallery = read_gallery(folder)
    assert tuple(gallery.pixels(gallery.assets[0])[0, 0]) == (0, 255, 0)


def test_an_image_that_is_missing_is_named(tmp_path: Path) -> None:
    (_gallery(tmp_path) / "blue.png").unlink()
    with pytest.raises(InputError, match="blue.png.*no such file"):
        read_gallery(tmp_path)


def test_an_image_that_is_no_image_is_named(tmp_path: Path) -> None:
    (_gallery(tmp_path) / "blue.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="blue.png: not a JPEG, PNG, WebP or AVIF"):
        read_gallery(tmp_path)


def test_an_image_cut_short_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path = _gallery(tmp_path) / "red.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:300])
    gallery = read_gallery(tmp_path)
    with pytest.raises(InputError, match="red.png is a damaged image"):
        gallery.pixels(gallery.assets[0])


def test_images_of_mixed_sizes_are_refused_by_name(tmp_path: Path) -> None:
    Image.new("RGB", (16, 13)).save(_gallery(tmp_path) / "blue.png")
    with pytest.raises(InputError, match="blue.png: 16x13, the gallery's first is 16x12"):
        read_gallery(tmp_path)


@pytest.mark.parametrize("side", [2049, 10_000, 20_000, 60_000])
def test_a_huge_image_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = struct.pack(">I", 4) + b"IDAT" + bytes(8)
    (_gallery(tmp_path) / "blue.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    with pytest.raises(InputError, match="blue.png: .*reduce it"):
        read_gallery(tmp_path)


def test_a_picture_is_read_as_it_is_shown(tmp_path: Path) -> None:
    folder = _gallery(tmp_path)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for colour in ("red", "blue"):
        picture = Image.new("RGB", (12, 16), colour)
        picture.save(folder / f"{colour}.png", "JPEG", exif=exif)
    gallery = read_gallery(folder)
    assert (gallery.width, gallery.height) == (16, 12)
    assert gallery.pixels(gallery.assets[0]).shape == (12, 16, 3)


@pytest.mark.parametrize(
    ("mode", "form", "says"),
    [("CMYK", "JPEG", "CMYK without a colour profile"), ("I;16", "PNG", "pixels of mode I;16")],
)
def test_pixels_that_would_have_to_be_guessed_are_refused(
    tmp_path: Path, mode: str, form: str, says: str
) -> None:
    Image.new(mode, (16, 12)).save(_gallery(tmp_path) / "blue.png", form)
    with pytest.raises(InputError, match=f"blue.png: {says}"):
        read_gallery(tmp_path)


def test_an_animation_is_no_still(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "blue")]
    frames[0].save(_gallery(tmp_path) / "blue.png", "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="blue.png: animated"):
        read_gallery(tmp_path)


def test_prompts_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    folder = _gallery(tmp_path, prompt="in {value}")
    manifest = json.loads((folder / "manifest.json").read_text())
    for asset in manifest["assets"]:
        asset["attributes"] = {"paint": "red", "roof": "red"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="cannot be read back: .*red could be paint or roof"):
        read_gallery(folder)


def test_a_gallerys_vocabulary_has_what_the_manifest_declares(tmp_path: Path) -> None:
    rules = {"paint": {"synonyms": {"red": ["cherry"]}}}
    words = read_gallery(_gallery(tmp_path, attributes=rules)).vocabulary()
    assert words.read("cherry paint, 3 doors") == {"paint": "red", "doors": "3"}
    with pytest.raises(InputError, match="doors 4: this model draws nothing between"):
        words.read("red paint, 4 doors")
