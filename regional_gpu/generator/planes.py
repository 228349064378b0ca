"""Pictures held inside a model as image-codec streams, decoded once when the model is loaded."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kvsync.errors import ModelError


def pack(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A lossless stream of ``pixels``, (height, width, 3), as bytes in an array, (n,)."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=75, method=4, exact=True)
    return np.frombuffer(stream.getvalue(), np.uint8).copy()


def unpack(stream: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The picture of a stream, (height, width, 3). Raises ModelError when it is not that size."""
    try:
        with Image.open(io.BytesIO(stream.tobytes()), formats=["WEBP"]) as image:
            if image.size != (width, height):
                raise ModelError(f"decoder: a plane of {image.size}, not {(width, height)}")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise ModelError(f"decoder: a plane cannot be decoded ({error}); fetch it again") from None
