"""A gallery is read whole or refused in one clear line that names the file."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kvsync.errors import InputError
from origin.gallery import read_gallery


def _gallery(folder: Path, size: tuple[int, int] = (16, 12), **manifest: Any) -> Path:
    assets = []
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


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="manifest.json: No such file"):
        read_gallery(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"family": "x"}',
        '{"family": "x", "assets": []}',
        '{"family": "x", "assets": [{"file": "../a.png", "attributes": {"a": "b"}}]}',
        '{"family": "x", "assets": [{"file": "a.png", "attributes": {}}]}',
    ],
)
def test_a_malformed_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match="manifest.json"):
        read_gallery(tmp_path)


@pytest.mark.parametrize("change", [{"prompt": "{colour}"}, {"prompt": "shoe"}])
def test_a_phrase_without_the_value_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="prompt"):
        read_gallery(_gallery(tmp_path, **change))


def test_a_background_that_is_no_colour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="background 'green'"):
        read_gallery(_gallery(tmp_path, background="green"))


def test_an_image_that_is_missing_is_named(tmp_path: Path) -> None:
    (_gallery(tmp_path) / "blue.png").unlink()
    with pytest.raises(InputError, match="blue.png.*no such file"):
        read_gallery(tmp_path)


def test_an_image_that_is_no_image_is_named(tmp_path: Path) -> None:
    (_gallery(tmp_path) / "blue.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="blue.png: not an image"):
        read_gallery(tmp_path)


def test_an_image_cut_short_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path = _gallery(tmp_path) / "red.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:300])
    gallery = read_gallery(tmp_path)
    with pytest.raises(InputError, match="red.png: broken image"):
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
