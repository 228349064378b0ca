"""A family's gallery: a folder with a manifest.json and the images that it lists."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError

MAX_SIDE = 2048
MAX_PIXELS = 100_000_000
DEFAULT_PROMPT = "{value} {name}"


class Asset(msgspec.Struct, frozen=True):
    file: str  # relative to the gallery's folder
    attributes: dict[str, str]
    bytes: int


@dataclass(frozen=True)
class Gallery:
    """The images of one family, all of one size, with what each one shows."""

    folder: Path
    family: str
    assets: tuple[Asset, ...]
    width: int
    height: int
    phrase: str = DEFAULT_PROMPT
    background: tuple[int, int, int] = (255, 255, 255)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes, in the manifest's order."""
        return tuple(self.assets[0].attributes)

    def values(self, attribute: str) -> tuple[str, ...]:
        """The values that an attribute takes in this gallery, sorted."""
        return tuple(sorted({asset.attributes[attribute] for asset in self.assets}))

    def prompt(self, attributes: Mapping[str, str]) -> str:
        """The sentence that stands for these attribute values."""
        phrases = (self.phrase.format(value=value, name=name) for name, value in attributes.items())
        return ", ".join(phrases)

    def pixels(self, asset: Asset) -> NDArray[np.uint8]:
        """The asset's 8-bit sRGB pixels, (height, width, 3), alpha laid over the background.

        Raises InputError naming the file when it cannot be decoded.
        """
        path = self.folder / asset.file
        try:
            with Image.open(path) as image:
                return flatten(image, self.background)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path}: broken image ({error}); replace it") from None


class _Manifest(msgspec.Struct):
    family: str
    assets: list["_ManifestAsset"]
    prompt: str = DEFAULT_PROMPT
    background: str = "#ffffff"


class _ManifestAsset(msgspec.Struct):
    file: str
    attributes: dict[str, str | int | float]
    bytes: int | None = None


def flatten(image: Image.Image, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """8-bit sRGB pixels, (height, width, 3), of an image laid over a plain background."""
    if image.has_transparency_data:
        over = image.convert("RGBA")
        canvas = Image.new("RGBA", over.size, (*background, 255))
        image = Image.alpha_composite(canvas, over)
    return np.asarray(image.convert("RGB"))


def read_gallery(folder: Path) -> Gallery:
    """Read a gallery's manifest and the header of each of its images.

    Raises InputError naming the file when the manifest is missing or malformed, or an image is
    missing, broken, larger than 2048 a side, or of another size than the first.
    """
    path = folder / "manifest.json"
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a gallery is a folder with one") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: not a gallery's manifest: {error}") from None
    if not manifest.assets:
        raise InputError(f"{path}: lists no assets")
    names = manifest.assets[0].attributes.keys()
    size: tuple[int, int] | None = None
    assets = []
    for listed in manifest.assets:
        if listed.attributes.keys() != names or not names:
            raise InputError(f"{path}: {listed.file} has other attributes than the first asset")
        image = _inside(folder, listed.file)
        found = image_size(image)
        size = size or found
        if found != size:
            raise InputError(
                f"{image}: {found[0]}x{found[1]}, the gallery's first is {size[0]}x{size[1]}"
            )
        values = {name: str(listed.attributes[name]) for name in names}
        assets.append(Asset(listed.file, values, listed.bytes or image.stat().st_size))
    assert size is not None
    return Gallery(
        folder,
        manifest.family,
        tuple(assets),
        *size,
        phrase=_phrase(path, manifest.prompt),
        background=_colour(path, manifest.background),
    )


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) from an image's header, without decoding it. Raises InputError."""
    try:
        with warnings.catch_warnings():
            # The size is judged below; Pillow's warning of a large one adds nothing.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except FileNotFoundError:
        raise InputError(f"{path}: the manifest names it, but there is no such file") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: far more than {MAX_PIXELS} pixels; reduce it") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise InputError(f"{path}: not an image, or a broken one; replace it") from None
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(f"{path}: {width}x{height} is larger than {MAX_SIDE} a side; reduce it")
    return width, height


def _inside(folder: Path, file: str) -> Path:
    if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
        raise InputError(f"{folder / 'manifest.json'}: {file} lies outside the gallery")
    return folder / file


def _phrase(path: Path, phrase: str) -> str:
    try:
        if phrase.format(value="\0", name="") != phrase.format(value="", name=""):
            return phrase
    except (KeyError, IndexError, ValueError):
        pass
    raise InputError(f"{path}: prompt {phrase!r} is not a phrase of {{value}} and {{name}}")


def _colour(path: Path, text: str) -> tuple[int, int, int]:
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        raise InputError(f"{path}: background {text!r} is not a colour like #ffffff") from None
    return red, green, blue
