"""People's faces in a picture, by OpenCV's cascade for faces seen from the front.

Boosted cascades of Haar-like features (Viola and Jones 2001; Lienhart and Maydt 2002). Profiles,
small and half-hidden faces escape it, and drawn ones may be found: it is a reason to look.
"""

from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CASCADE: Final = Path(cv2.__file__).parent / "data/haarcascade_frontalface_default.xml"
_SIDE: Final = 512
# Of the longer side: smaller ones are chance more often than faces.
_LEAST: Final = 0.08
_AGREEING: Final = 8


def has_face(pixels: NDArray[np.uint8]) -> bool:
    """Whether a (height, width, 3) sRGB picture shows a face from the front."""
    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((_SIDE, _SIDE))
    grey = cv2.equalizeHist(np.asarray(image))
    least = round(_LEAST * max(image.size))
    found = _cascade().detectMultiScale(grey, 1.1, _AGREEING, minSize=(least, least))
    return len(found) > 0


@cache
def _cascade() -> cv2.CascadeClassifier:
    # OpenCV would take every core for a picture of half a megapixel.
    cv2.setNumThreads(1)
    return cv2.CascadeClassifier(str(_CASCADE))
