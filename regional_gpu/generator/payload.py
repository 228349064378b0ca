"""What a fitted recipe says of one shot: its latents, in steps so fine that none shows.

One byte of version, then for each latent a 16-bit integer, low byte first, two's complement: its
distance from the family's mean in 1/1024 of a standard deviation. Behind the latents of place and
light stand, by attribute and channel, what the shot adds to the codes of its values.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError

VERSION: Final = 1
STEPS: Final = 1024
REACH: Final = 32_767
"""The largest step: 32 standard deviations."""


def pack(latents: NDArray[np.float32]) -> bytes:
    """Latents, (n,), as a payload of 1 + 2 n bytes; those beyond what it reaches are cut."""
    steps = np.rint(latents.astype(np.float64) * STEPS).clip(-REACH, REACH)
    return bytes([VERSION]) + steps.astype("<i2").tobytes()


def unpack(payload: bytes, count: int) -> NDArray[np.float32]:
    """The ``count`` latents of a payload. Raises InputError when it is another model's."""
    if len(payload) != 1 + 2 * count or payload[0] != VERSION:
        raise InputError(
            f"payload of {len(payload)} bytes: this model takes version {VERSION} and "
            f"{count} latents, {1 + 2 * count} bytes; fit the asset again"
        )
    return np.frombuffer(payload, "<i2", offset=1).astype(np.float32) / np.float32(STEPS)
