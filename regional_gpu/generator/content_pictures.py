"""Many small pictures as few bytes: like ones stacked into one tall AVIF picture.

A family's cells are drawn in one style: beside one another, the codec's own model of them is
learnt once and parts that return are cheap. Against a file for each cell this saves a third.
"""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kvsync.errors import ModelError

Bytes = NDArray[np.uint8]

MOST_ROWS: Final = 8192
"""Of one stack: what is decoded at once, and what every decoder takes."""
SPEED: Final = 4


def stack_size(height: int) -> int:
    """How many pictures of this height are stacked."""
    return max(1, MOST_ROWS // height)


def pack(pictures: Bytes, quality: int, speed: int = SPEED) -> Bytes:
    """A stack's stream, (n,), of colour pictures, (pictures, height, width, 3), or of single
    planes, (pictures, height, width)."""
    tall = pictures.reshape(-1, *pictures.shape[2:])
    stream = io.BytesIO()
    settings: dict[str, Any] = {"subsampling": "4:4:4"} if tall.ndim == 3 else {}
    Image.fromarray(tall).save(
        stream, "AVIF", quality=quality, speed=speed, max_threads=1, **settings
    )
    return np.frombuffer(stream.getvalue(), np.uint8).copy()


def unpack(stream: Bytes, shape: tuple[int, ...]) -> Bytes:
    """The pictures of a stack, of this shape. Raises ModelError when it is not that.

    The bits of single planes come back the same everywhere, as AV1 fixes them; colours pass a
    conversion that may round one level differently.
    """
    count, height, width = shape[:3]
    try:
        with Image.open(io.BytesIO(stream.tobytes()), formats=["AVIF"]) as image:
            if image.size != (width, count * height):
                raise ModelError(f"decoder: a stack of {image.size}, not {count} of {shape[1:3]}")
            return np.asarray(image.convert("RGB" if len(shape) == 4 else "L")).reshape(shape)
    except (OSError, ValueError, SyntaxError) as error:
        raise ModelError(f"decoder: a stack cannot be decoded ({error}); fetch it again") from None
