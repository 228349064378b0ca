"""Pixels to delivered bytes and back: resize, encode, say how the picture was made."""

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from kvsync.errors import InputError
from kvsync.rendition import ImageFormat, Still

# IPTC Photo Metadata Standard 2023.1, "Digital Source Type"; XMP part 1 for the packet around it.
PROVENANCE: Final = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    b' rdf:about="" Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    b"</rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="r"?>'
)
PROVENANCE_BYTES: Final = len(PROVENANCE)

MAX_MEGAPIXELS: Final = 100
# Past this a file is refused from its header, so Pillow's own, later warning would only be noise.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

READABLE: Final = ("JPEG", "PNG", "WEBP", "AVIF")

EncoderSettings = dict[str, str | int | bool]
"""An encoder's effort and chroma settings, by Pillow's names."""

# Found by `bench formats`: docs/benchmarks.md has the table.
ENCODERS: Final[dict[ImageFormat, EncoderSettings]] = {
    "jpeg": {"subsampling": "4:4:4", "optimize": True},
    "webp": {"method": 2},
    "avif": {"speed": 9, "subsampling": "4:4:4", "max_threads": 1},
}


@dataclass(frozen=True)
class Encoded:
    data: bytes
    media_type: str


def encode(pixels: NDArray[np.uint8], rendition: Still) -> Encoded:
    """The delivered file of `pixels`, (height, width, 3) sRGB.

    Narrowed to the rendition's width by Lanczos, the aspect kept, never enlarged. Carries
    `PROVENANCE` as XMP.
    """
    image = Image.fromarray(pixels)
    if rendition.width < image.width:
        height = max(1, round(image.height * rendition.width / image.width))
        image = image.resize((rendition.width, height), Image.Resampling.LANCZOS)
    return encode_as(image, rendition.format, rendition.quality, ENCODERS[rendition.format])


def encode_as(image: Image.Image, form: str, quality: int, settings: EncoderSettings) -> Encoded:
    """`image` as it is, by one encoder at one quality."""
    buffer = BytesIO()
    try:
        image.save(buffer, form, quality=quality, xmp=PROVENANCE, **settings)
    except OSError:
        if "optimize" not in settings:
            raise
        # Pillow keeps room for a byte a pixel; optimising a busier picture overruns it.
        plain = {name: value for name, value in settings.items() if name != "optimize"}
        return encode_as(image, form, quality, plain)
    return Encoded(buffer.getvalue(), f"image/{form}")


def decode(
    data: bytes, name: str = "image", background: tuple[int, int, int] = (255, 255, 255)
) -> NDArray[np.uint8]:
    """The (height, width, 3) sRGB pixels of a JPEG, PNG, WebP or AVIF file.

    Turned upright as its EXIF says, colours brought to sRGB by its ICC profile, alpha over
    ``background``.
    Raises InputError, naming `name`, for a broken file or one above 100 megapixels.
    """
    try:
        with Image.open(BytesIO(data), formats=READABLE) as image:
            if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
                raise InputError(_too_large(name, f"{image.width}x{image.height} pixels"))
            return np.asarray(_over(background, _in_srgb(ImageOps.exif_transpose(image))))
    except Image.DecompressionBombError as error:
        raise InputError(_too_large(name, str(error))) from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not a JPEG, PNG, WebP or AVIF image: replace it") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{name} is a damaged image ({error}): replace it") from error


def _too_large(name: str, size: str) -> str:
    return f"{name} is above {MAX_MEGAPIXELS} megapixels ({size}): supply a smaller one"


def _in_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    mode = "RGBA" if "A" in image.mode else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode=mode
        )
    except (OSError, ImageCms.PyCMSError):  # a broken profile is ignored, as browsers do
        return image
    return converted or image


def _over(background: tuple[int, int, int], image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    plain = Image.new("RGBA", image.size, background)
    plain.alpha_composite(image.convert("RGBA"))
    return plain.convert("RGB")
