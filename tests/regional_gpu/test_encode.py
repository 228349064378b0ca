from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from kvsync.errors import InputError
from kvsync.rendition import ImageFormat, Still
from regional_gpu.generator.encode import PROVENANCE, PROVENANCE_BYTES, decode, encode
from regional_gpu.generator.score import psnr

Pixels = NDArray[np.uint8]

FORMATS: tuple[ImageFormat, ...] = ("jpeg", "webp", "avif")
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
MASTER = Path("origin/samples/rumba/masters/rumba_orange_red_front.png")


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> Iterator[ImageFormat]:
    yield request.param


@pytest.fixture(scope="module")
def master() -> Pixels:
    return decode(MASTER.read_bytes())


def saved(image: Image.Image, form: str = "png", **settings: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()


def test_a_delivered_picture_decodes_to_nearly_the_same_pixels(
    master: Pixels, form: ImageFormat
) -> None:
    encoded = encode(master, Still(form, 768, 90))
    assert encoded.media_type == f"image/{form}"
    assert psnr(master, decode(encoded.data)) > 38


@pytest.mark.parametrize("colour", [(250, 20, 30), (20, 200, 40), (30, 40, 240), (128, 128, 128)])
def test_flat_colours_come_back_unswapped(form: ImageFormat, colour: tuple[int, int, int]) -> None:
    flat = np.full((64, 64, 3), colour, np.uint8)
    back = decode(encode(flat, Still(form, 64, 95)).data)
    assert np.abs(back.astype(int) - colour).max() <= 3


def test_colour_edges_stay_where_they_were(form: ImageFormat) -> None:
    """A half pixel of wrong chroma siting would tint one side of the edge."""
    halves = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    halves[:, 32:] = (30, 30, 200)
    back = decode(encode(halves, Still(form, 64, 100)).data).astype(int)
    left, right = back[:, 30:32].mean((0, 1)), back[:, 32:34].mean((0, 1))
    assert np.abs((left - [200, 30, 30]) - (right - [30, 30, 200])[::-1]).max() < 12


def test_a_narrower_rendition_keeps_the_aspect(form: ImageFormat) -> None:
    wide = np.zeros((300, 600, 3), np.uint8)
    assert decode(encode(wide, Still(form, 200, 80)).data).shape == (100, 200, 3)


def test_a_picture_is_never_enlarged(form: ImageFormat) -> None:
    small = np.zeros((50, 60, 3), np.uint8)
    assert decode(encode(small, Still(form, 768, 80)).data).shape == small.shape


def test_every_delivered_file_says_that_it_was_generated(master: Pixels, form: ImageFormat) -> None:
    data = encode(master, Still(form, 96, 80)).data
    assert data.count(PROVENANCE) == 1 and len(PROVENANCE) == PROVENANCE_BYTES < 450
    with Image.open(BytesIO(data)) as image:
        (described,) = ElementTree.fromstring(image.info["xmp"]).iter(f"{RDF}Description")
    assert described.get(f"{IPTC}DigitalSourceType") == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


def test_alpha_is_laid_over_white() -> None:
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    assert decode(saved(half))[0, 0].tolist() == [255, 127, 127]


def test_a_palette_with_transparency_is_laid_over_white() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30])
    assert decode(saved(palette, transparency=0))[0, 0].tolist() == [255, 255, 255]


def test_a_picture_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(Image.new("RGB", (40, 20)), "jpeg", exif=exif)).shape == (40, 20, 3)


def test_a_colour_profile_is_brought_to_srgb() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert decode(saved(red, icc_profile=profile))[0, 0].tolist() == [255, 0, 0]
    back = decode(saved(red, icc_profile=swapped))[0, 0].tolist()
    assert back[2] > 250 and back[0] < 10


def test_a_broken_profile_is_ignored() -> None:
    grey = Image.new("RGB", (8, 8), (128, 128, 128))
    assert decode(saved(grey, icc_profile=b"not a profile"))[0, 0].tolist() == [128, 128, 128]


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(20)])
def test_what_is_no_picture_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.jpg is not a JPEG, PNG, WebP or AVIF image"):
        decode(data, "a.jpg")


def test_a_truncated_file_is_refused(master: Pixels, form: ImageFormat) -> None:
    data = encode(master, Still(form, 384, 80)).data
    with pytest.raises(InputError, match=r"^b\.img is "):
        decode(data[: len(data) * 3 // 4], "b.img")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_001, 14_000])
def test_a_picture_above_100_megapixels_is_refused_before_it_is_unpacked(side: int) -> None:
    bomb = saved(Image.new("1", (side, side)))
    with pytest.raises(InputError, match="above 100 megapixels"):
        decode(bomb, "bomb.png")


def test_a_picture_of_noise_takes_more_bytes_than_it_has_pixels_and_is_encoded(
    form: ImageFormat,
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    data = encode(noise, Still(form, 256, 99)).data
    assert decode(data).shape == noise.shape
