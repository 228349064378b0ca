"""What a gallery's files truly say: luma of each pixel, and colour as finely as it was stored.

Most JPEG files keep one colour sample for 2x2 pixels (4:2:0). Decoders smooth these over the
pixels; a fit that takes the result at its word learns that smoothness. Here the samples
themselves are read.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from origin.gallery import Asset, Gallery
from regional_gpu.generator.picture_codec import TO_YCC

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

ORIENTATION = 0x0112
UPRIGHT = 1
HALVED = 2  # Pillow's name of 4:2:0
NEUTRAL = 128


@dataclass(frozen=True)
class Observed:
    """A cell's images: either whole pixels, or luma and colour samples of ``side`` x ``side``."""

    luma: Bytes  # (assets, height, width), or pixels (assets, height, width, 3)
    chroma: Bytes | None  # (assets, rows, columns, 2), None with pixels

    @property
    def side(self) -> int:
        return 1 if self.chroma is None else 2

    def rows(self, top: int, bottom: int) -> tuple[Floats, Floats]:
        """Luma, (assets, rows, width), and colour differences, (assets, rows / side, width / side,
        2), around 0, of the rows from ``top`` to ``bottom``: multiples of ``side``."""
        luma = self.luma[:, top:bottom].astype(np.float32)
        if self.chroma is None:
            planes = luma @ TO_YCC.T
            return planes[..., 0], planes[..., 1:]
        return luma, self.chroma[:, top // 2 : bottom // 2].astype(np.float32) - NEUTRAL


def observed(gallery: Gallery, assets: Sequence[Asset]) -> Observed:
    """Read a cell's images. Raises InputError naming one that cannot be decoded."""
    files = [(gallery.folder / asset.file).read_bytes() for asset in assets]
    even = gallery.width % 2 == 0 and gallery.height % 2 == 0
    if not even or not all(_is_halved(file) for file in files):
        return Observed(np.stack([gallery.pixels(asset) for asset in assets]), None)
    planes = [_planes(file) for file in files]
    return Observed(np.stack([one for one, _ in planes]), np.stack([one for _, one in planes]))


def _is_halved(file: bytes) -> bool:
    """Whether a file is a plain JPEG, upright and in sRGB, with 4:2:0 colour."""
    with Image.open(io.BytesIO(file)) as image:
        if image.format != "JPEG" or image.mode != "RGB" or "icc_profile" in image.info:
            return False
        upright = image.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT
        return upright and JpegImagePlugin.get_sampling(image) == HALVED


def _planes(file: bytes) -> tuple[Bytes, Bytes]:
    with Image.open(io.BytesIO(file)) as whole:
        whole.draft("YCbCr", whole.size)
        luma = np.asarray(whole)[..., 0].copy()
        size = (whole.width // 2, whole.height // 2)
    # At half size libjpeg passes colour samples through as they are.
    with Image.open(io.BytesIO(file)) as half:
        half.draft("YCbCr", size)
        return luma, np.asarray(half)[..., 1:].copy()
