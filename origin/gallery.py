"""A family's gallery: a folder with a manifest.json and the images that it lists."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from kvsync.errors import InputError
from origin.manifest import DEFAULT_PROMPT, Asset, Manifest, read_manifest
from regional_gpu.generator.continuous import Continuum, Kind, Method, in_order
from regional_gpu.generator.encode import READABLE, decode
from regional_gpu.generator.text import FILLERS, WORD, Spoken, Vocabulary

__all__ = ["Asset", "Gallery", "read_gallery"]

MAX_SIDE: Final = 2048
MAX_PIXELS: Final = 100_000_000
# Others hold more than 8 bits or less than one; what they would look like is a guess.
PLAIN_MODES: Final = frozenset(["1", "L", "LA", "P", "PA", "RGB", "RGBA"])
# EXIF orientations that lie on their side.
SIDEWAYS: Final = frozenset([5, 6, 7, 8])


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
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # an attribute not in it has words
    synonyms: Mapping[str, Spoken] = field(default_factory=dict)
    below: str = ""  # the asset store's folder

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes, in the manifest's order."""
        return tuple(self.assets[0].attributes)

    @property
    def continuous(self) -> dict[str, Kind]:
        """The attributes whose values could be interpolated, with their kinds."""
        kinds = {name: self.kinds.get(name, "word") for name in self.attributes}
        return {name: kind for name, kind in kinds.items() if kind != "word"}

    def values(self, attribute: str) -> tuple[str, ...]:
        """The values that an attribute takes: words sorted, numbers and angles by size."""
        found = {asset.attributes[attribute] for asset in self.assets}
        return in_order(self.kinds.get(attribute, "word"), found)

    def prompt(self, attributes: Mapping[str, str]) -> str:
        """The sentence that stands for these attribute values."""
        phrases = (self.phrase.format(value=value, name=name) for name, value in attributes.items())
        return ", ".join(phrases)

    def vocabulary(
        self,
        layout_by: tuple[str, ...] = (),
        layouts: tuple[tuple[str, ...], ...] = ((),),
        methods: Mapping[str, Method] | None = None,
    ) -> Vocabulary:
        """The words that a model of this gallery knows.

        ``methods``: how it draws continuous attributes between the gallery's values; those left
        out are not drawn there.
        """
        known = {name: self.values(name) for name in self.attributes}
        words = set(WORD.findall(self.phrase.format(value="", name="").casefold()))
        continuous = {
            name: Continuum(kind, (methods or {}).get(name, "values"), known[name])
            for name, kind in self.continuous.items()
        }
        return Vocabulary(
            known, frozenset(words - FILLERS), layout_by, layouts, continuous, self.synonyms
        )

    def pixels(self, asset: Asset) -> NDArray[np.uint8]:
        """The asset's 8-bit sRGB pixels, (height, width, 3), upright, alpha over the background.

        Raises InputError naming the file when it cannot be decoded.
        """
        path = self.folder / asset.file
        try:
            pixels = decode(path.read_bytes(), str(path), self.background)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        if pixels.shape != (self.height, self.width, 3):
            raise InputError(f"{path}: not {self.width}x{self.height} once turned upright")
        return pixels


def read_gallery(folder: Path) -> Gallery:
    """Read a gallery's manifest and the header of each of its images.

    Raises InputError naming the file when the manifest is missing or malformed, its prompts
    cannot be told apart, or an image is missing, broken, larger than 2048 a side, of another
    size than the first, animated, or of more than 8 bits.
    """
    manifest = read_manifest(folder)
    size: tuple[int, int] | None = None
    assets = []
    for listed in manifest.assets:
        path = folder / listed.file
        found = image_size(path)
        size = size or found
        if found != size:
            raise InputError(
                f"{path}: {found[0]}x{found[1]}, the gallery's first is {size[0]}x{size[1]}; "
                "one family has one size"
            )
        assets.append(listed if listed.bytes else replace(listed, bytes=path.stat().st_size))
    gallery = _gallery(folder, manifest, tuple(assets), size or (0, 0))
    _check_prompts(gallery)
    return gallery


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) as shown, from an image's header, without decoding it. Raises InputError."""
    try:
        with warnings.catch_warnings():
            # The size is judged below; Pillow's warning of a large one adds nothing.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=READABLE) as image:
                width, height = image.size
                _check_kind(path, image)
                # Pillow would decode a whole PNG in search of EXIF behind the pixels.
                has_exif = image.format != "PNG" or "exif" in image.info
                if has_exif and image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS:
                    width, height = height, width
    except FileNotFoundError:
        raise InputError(f"{path}: the manifest names it, but there is no such file") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: far more than {MAX_PIXELS} pixels; reduce it") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise InputError(
            f"{path}: not a JPEG, PNG, WebP or AVIF image, or a broken one; replace it"
        ) from None
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(f"{path}: {width}x{height} is larger than {MAX_SIDE} a side; reduce it")
    return width, height


def _check_kind(path: Path, image: Image.Image) -> None:
    if image.mode == "CMYK" and not image.info.get("icc_profile"):
        raise InputError(f"{path}: CMYK without a colour profile; convert it to sRGB")
    if image.mode not in PLAIN_MODES and image.mode != "CMYK":
        raise InputError(f"{path}: pixels of mode {image.mode}; convert it to 8-bit sRGB")
    # A JPEG may carry a thumbnail as a second frame; the others' frames are shown in turn.
    if image.format not in ("JPEG", "MPO") and getattr(image, "is_animated", False):
        raise InputError(f"{path}: animated; a family has still images")


def _gallery(
    folder: Path, manifest: Manifest, assets: tuple[Asset, ...], size: tuple[int, int]
) -> Gallery:
    return Gallery(
        folder,
        manifest.family,
        assets,
        *size,
        phrase=manifest.phrase,
        background=manifest.background,
        kinds=manifest.kinds,
        synonyms=manifest.synonyms,
        below=manifest.below,
    )


def _check_prompts(gallery: Gallery) -> None:
    """Every asset's prompt must say what the asset shows, or no model could tell them apart."""
    words = gallery.vocabulary()
    said: set[str] = set()
    for asset in gallery.assets:
        prompt = gallery.prompt(asset.attributes)
        if prompt in said:
            continue
        said.add(prompt)
        where = f"{gallery.folder / 'manifest.json'}: {asset.file}"
        try:
            read = words.read(prompt)
        except InputError as error:
            raise InputError(f"{where}: its prompt cannot be read back: {error}") from None
        if read != asset.attributes:
            raise InputError(f"{where}: its prompt {prompt!r} says {read}; choose another phrase")
