"""A picture in 256 bytes: where its edges lie, whatever their colour.

Two pictures of one product in other colours have the same layout; other products have not.
"""

import warnings
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kvsync.errors import InputError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE: Final = 64
CELLS: Final = 8
TURNS: Final = 4
LAYOUT: Final = CELLS * CELLS * TURNS
MOST_PIXELS: Final = 40_000_000
READABLE: Final = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")
# Fainter changes than this, in levels of 255 from pixel to pixel, are no edges.
FAINT: Final = 4.0
_UPRIGHT: Final = 1
_ORIENTATION: Final = 0x0112
_PLAIN: Final = frozenset(["1", "L", "LA", "P", "PA", "RGB", "RGBA"])


# Past its own limit a file is refused from its header; Pillow's warning would only be noise.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Unfit(InputError):
    """A file that cannot be a family's picture; ``kind`` is one word for counting."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind


def thumbnail(data: bytes) -> tuple[Pixels, str, int, int, bool]:
    """(64, 64, 3) sRGB over white, media type, width and height as shown, and whether EXIF turned
    it. JPEGs are decoded at an eighth or so of their size.

    Raises :class:`Unfit` for what training would not take: not an image, animated, CMYK, more than
    8 bits, above 40 megapixels, or broken.
    """
    if not data:
        raise Unfit("empty", "no bytes")
    try:
        with Image.open(BytesIO(data), formats=READABLE) as image:
            _check(image)
            form = image.format or ""
            media_type = Image.MIME.get("JPEG" if form == "MPO" else form, "")
            width, height = image.size
            turned = _turned(image)
            image.draft("RGB", (SIDE, SIDE))
            small = _small(image)
            if turned:
                small = _upright(image, small)
                width, height = (
                    (height, width) if image.getexif().get(_ORIENTATION, 1) > 4 else (width, height)
                )
            return np.asarray(small), media_type, width, height, turned
    except Image.DecompressionBombError as error:
        raise Unfit("too-large", str(error)) from error
    except UnidentifiedImageError as error:
        raise Unfit("not-an-image", "no JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Unfit("broken", f"damaged or cut short: {error}") from error


def small_picture(data: bytes, side: int) -> Pixels:
    """(height, width, 3) sRGB over white, upright, the longer side at most ``side``: to be looked
    at. Raises :class:`Unfit`."""
    try:
        with Image.open(BytesIO(data), formats=READABLE) as image:
            _check(image)
            image.draft("RGB", (side, side))
            over = _over_white(ImageOps.exif_transpose(image))
            over.thumbnail((side, side))
            return np.asarray(over)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise Unfit("broken", f"cannot be shown: {error}") from error


def describe(pictures: Pixels) -> NDArray[np.int8]:
    """(pictures, 256) of (pictures, 64, 64, 3)."""
    return np.rint(127 * _layouts(pictures.astype(np.float32))).astype(np.int8)


def _layouts(pictures: Floats) -> Floats:
    """How much of each field of 8x8 is edges of each of four directions (Dalal and Triggs 2005),
    each field in proportion to its neighbourhood, so that pale edges count as strong ones."""
    down = pictures[:, 2:, 1:-1] - pictures[:, :-2, 1:-1]
    across = pictures[:, 1:-1, 2:] - pictures[:, 1:-1, :-2]
    squares = down * down + across * across
    channel = squares.argmax(axis=-1)[..., None]
    down = np.take_along_axis(down, channel, -1)[..., 0]
    across = np.take_along_axis(across, channel, -1)[..., 0]
    strength = np.sqrt(np.take_along_axis(squares, channel, -1)[..., 0])
    strength[strength < FAINT] = 0
    # An edge from dark to bright is the same edge from bright to dark.
    turn = np.floor((np.arctan2(down, across) / np.pi + 1.125) % 1 * TURNS).astype(np.int8)
    edges = np.pad(np.sqrt(strength), ((0, 0), (1, 1), (1, 1)))
    turn = np.pad(turn, ((0, 0), (1, 1), (1, 1)))
    field = SIDE // CELLS
    histograms = np.stack(
        [
            np.where(turn == at, edges, 0)
            .reshape(-1, CELLS, field, CELLS, field)
            .sum(axis=(2, 4), dtype=np.float32)
            for at in range(TURNS)
        ],
        axis=-1,
    )
    energy = np.square(histograms).sum(axis=-1)
    around = np.pad(energy, ((0, 0), (1, 1), (1, 1)))
    near = sum(around[:, y : y + CELLS, x : x + CELLS] for y in range(3) for x in range(3))
    fields = histograms / np.sqrt(near + field * field * FAINT)[..., None]
    flat = fields.reshape(len(pictures), -1)
    length = np.sqrt(np.square(flat).sum(axis=1, keepdims=True))
    return np.asarray(flat / np.maximum(length, 1e-6), np.float32)


def _check(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Unfit("too-large", f"{image.width}x{image.height}, above 40 megapixels")
    # A JPEG may carry a thumbnail as a second frame.
    if image.format not in ("JPEG", "MPO") and getattr(image, "is_animated", False):
        raise Unfit("animated", "a family has still images")
    if image.mode == "CMYK":
        raise Unfit("cmyk", "inks, not sRGB")
    if image.mode not in _PLAIN:
        raise Unfit("deep", f"pixels of mode {image.mode}, not 8 bits")


def _turned(image: Image.Image) -> bool:
    # Pillow would decode a whole PNG in search of EXIF behind the pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return False
    return image.getexif().get(_ORIENTATION, _UPRIGHT) not in (0, _UPRIGHT)


def _over_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        over = Image.new("RGBA", clear.size, "white")
        over.alpha_composite(clear)
        image = over
    return image.convert("RGB")


def _small(image: Image.Image) -> Image.Image:
    whole = _over_white(image)
    fit = min(whole.width // SIDE, whole.height // SIDE)
    return whole.resize((SIDE, SIDE), Image.Resampling.BOX if fit else Image.Resampling.BILINEAR)


def _upright(image: Image.Image, small: Image.Image) -> Image.Image:
    exif = Image.Exif()
    exif[_ORIENTATION] = image.getexif()[_ORIENTATION]
    small.getexif()[_ORIENTATION] = exif[_ORIENTATION]
    return ImageOps.exif_transpose(small)
