"""How good a picture is beside its reference: SSIMULACRA2, fast, and PSNR.

SSIMULACRA2 (Sneyers, Cloudinary; github.com/cloudinary/ssimulacra2) adds up 108 weighted
differences: three colour planes x six scales x two norms x (structure, artefact, lost detail).
Most of its published weights are zero or so small that they move no score by 0.01. Only the
terms that count are computed here, which leaves one plane of three at full size, in 32 bits,
with the structure term rearranged so that nothing cancels.
"""

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kvsync.errors import InputError

SCALES: Final = 6
SMALLEST: Final = 8
"""Pixels; a scale with a shorter side is left out, as in the original."""

# The original's weights above 0.01, by their place in its list:
# plane (X, Y, B) x scale x norm (1, 4) x term (structure, artefact, lost detail).
# fmt: off
WEIGHTS: Final[dict[int, float]] = {
    9: 1.1041726426657346, 15: 1.8422455520539298, 16: 11.441172603757666,
    21: 1.8787594979546387, 22: 10.94906990605142, 25: 0.9677937080626833,
    28: 0.9981766977854967, 39: 7.466890328078848, 41: 17.445833984131262,
    45: 6.683678146179332, 47: 1.027889937768264, 48: 225.20515300849274,
    51: 19.213238186143016, 54: 176.39317598450694, 57: 24.43300999870476,
    58: 0.28520802612117757, 63: 34.77906344483772, 64: 44.835625328877896,
    93: 8.826982764996862, 94: 23.19243343998926, 96: 95.1080498811086,
    97: 0.9863978034400682, 98: 0.9834382792465353, 100: 171.2667255897307,
    101: 0.9807858872435379,
}
# fmt: on

# libjxl's opsin absorbance: linear sRGB to three cone responses.
OPSIN: Final = torch.tensor(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
    ]
)
OPSIN_BIAS: Final = 0.0037930732552754493
SMOOTHING: Final = 0.0009
"""The original's C2: keeps the structure term finite where both pictures are flat."""

_taps = torch.exp(-0.5 * (torch.arange(-5, 6, dtype=torch.float64) / 1.5) ** 2)
GAUSSIAN: Final = (_taps / _taps.sum()).float()

_levels = torch.arange(256, dtype=torch.float64) / 255
_linear = torch.where(_levels <= 0.04045, _levels / 12.92, ((_levels + 0.055) / 1.055) ** 2.4)
LINEAR: Final = _linear.float().numpy()


@torch.inference_mode()
def ssimulacra2(reference: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    """SSIMULACRA2 of `image` against `reference`, (height, width, 3) sRGB each; 100 is identical.

    Within 0.1 of the `ssimulacra2` package (borders as there: zero left and right, reflected at
    top and bottom). Raises InputError when the shapes differ or a side is under 8 pixels.
    """
    _check_alike(reference, image)
    if min(reference.shape[:2]) < SMALLEST:
        raise InputError(f"SSIMULACRA2 needs {SMALLEST} pixels a side, not {reference.shape[:2]}")
    pyramid = _pyramid(reference, image)
    weights = _weights(len(pyramid))
    total = sum(
        float((weights[planes, scale] * _differences(_xyb(pair, planes))).sum())
        for scale, pair in enumerate(pyramid)
        if (planes := [p for p in range(3) if weights[p, scale].any()])
    )
    return _scale_to_opinion(total)


@torch.inference_mode()
def error_map(reference: NDArray[np.uint8], image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where SSIMULACRA2 finds its faults: (height, width), nothing where there is none.

    Each pixel's part of the weighted differences whose sum the score is made from: the map's mean
    is that sum, up to the borders of the smaller scales. Raises InputError as `ssimulacra2` does.
    """
    _check_alike(reference, image)
    pyramid = _pyramid(reference, image)
    weights = _weights(len(pyramid))
    height, width = reference.shape[:2]
    faults = torch.zeros(height, width)
    for scale, pair in enumerate(pyramid):
        planes = [p for p in range(3) if weights[p, scale].any()]
        if not planes:
            continue
        terms = _terms(_xyb(pair, planes))
        fourth = (terms * terms).square_()
        norm = fourth.mean(dim=(1, 2), keepdim=True).clamp_(min=1e-30) ** 0.75
        plain, strong = weights[planes, scale].permute(1, 2, 0)[:, :, None, None]
        part = (plain * terms + strong * fourth / norm).sum(dim=(0, 3))
        faults += F.interpolate(part[None, None], (height, width), mode="nearest")[0, 0]
    found: NDArray[np.float32] = faults.numpy()
    return found


def psnr(reference: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    """Peak signal to noise ratio in dB over all channels; infinite for identical pictures."""
    _check_alike(reference, image)
    difference = reference.astype(np.float32) - image
    mean_square = float(np.mean(np.square(difference), dtype=np.float64))
    return float("inf") if mean_square == 0 else float(10 * np.log10(255**2 / mean_square))


def _pyramid(reference: NDArray[np.uint8], image: NDArray[np.uint8]) -> list[Tensor]:
    """Both pictures in linear light, (3, 2, height, width), each scale half of the one before."""
    planar = np.stack([reference, image]).transpose(3, 0, 1, 2)
    pyramid = [torch.from_numpy(np.take(LINEAR, planar))]
    while len(pyramid) < SCALES and -(-min(pyramid[-1].shape[2:]) // 2) >= SMALLEST:
        pyramid.append(F.avg_pool2d(pyramid[-1], 2, ceil_mode=True, count_include_pad=False))
    return pyramid


def _check_alike(reference: NDArray[np.uint8], image: NDArray[np.uint8]) -> None:
    if reference.shape != image.shape or reference.ndim != 3 or reference.shape[2] != 3:
        raise InputError(f"cannot compare pictures of {reference.shape} and {image.shape} pixels")


def _weights(scales: int) -> Tensor:
    """(plane, scale, norm, term); with fewer scales the original's list is read from its start."""
    weights = torch.zeros(108)
    weights[list(WEIGHTS)] = torch.tensor(list(WEIGHTS.values()))
    return weights[: 18 * scales].reshape(3, scales, 2, 3)


def _xyb(light: Tensor, planes: list[int]) -> Tensor:
    """Linear (3, 2, height, width) to (2, height, width, plane) of the wanted of X, Y, B, each
    made positive."""

    def response(cone: Tensor) -> Tensor:
        red, green, blue = cone.tolist()
        mixed = light[0] * red + light[1] * green + light[2] * blue
        root: Tensor = (mixed + OPSIN_BIAS).clamp_(min=0).pow_(1 / 3)
        return root.sub_(OPSIN_BIAS ** (1 / 3))

    long, medium = response(OPSIN[0]), response(OPSIN[1])
    luma = (long + medium) / 2
    xyb = [(long - medium) * 7 + 0.42, luma + 0.01]
    if 2 in planes:
        xyb.append(response(OPSIN[2]) - luma + 0.55)
    return torch.stack([xyb[plane] for plane in planes], dim=-1)


def _differences(pair: Tensor) -> Tensor:
    """(2, height, width, plane) to the 1- and 4-norms of the three terms, (plane, norm, term)."""
    terms = _terms(pair)
    fourth = (terms * terms).square_().mean(dim=(1, 2)) ** 0.25
    return torch.stack([terms.mean(dim=(1, 2)), fourth]).permute(2, 0, 1)


def _terms(pair: Tensor) -> Tensor:
    """(2, height, width, plane) to structure, artefact, lost detail: (3, height, width, plane)."""
    first, second = pair
    change = second - first
    moments = torch.cat([first, change, change * change, first * second], dim=-1)
    mean, mean_change, square, product = _blur(moments).chunk(4, dim=-1)
    mean_other = mean + mean_change
    shared = 2 * (product - mean * mean_other) + SMOOTHING
    # 1 - (1 - mean_change^2) * shared / (shared + energy), without the cancellation.
    squared_mean = mean_change * mean_change
    energy = square - squared_mean
    structure = ((energy + shared * squared_mean) / (shared + energy)).clamp_(min=0)
    edges = (1 + (second - mean_other).abs_()) / (1 + (first - mean).abs_()) - 1
    return torch.stack([structure, edges.clamp(min=0), (-edges).clamp_(min=0)])


def _blur(planes: Tensor) -> Tensor:
    """Gaussian of sigma 1.5 and 11 taps over (height, width, channel)."""
    stack = planes.permute(2, 0, 1)[None]
    channels, radius = stack.shape[1], len(GAUSSIAN) // 2
    across = GAUSSIAN.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    down = GAUSSIAN.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    top, bottom = stack[:, :, :radius].flip(2), stack[:, :, -radius:].flip(2)
    tall = torch.cat([top, stack, bottom], dim=2).contiguous(memory_format=torch.channels_last)
    blurred = F.conv2d(tall, down, groups=channels)
    blurred = F.conv2d(blurred, across, padding=(0, radius), groups=channels)
    return blurred[0].permute(1, 2, 0)


def _scale_to_opinion(total: float) -> float:
    """The original's fit of its weighted sum to human opinion scores."""
    total *= 0.9562382616834844
    fitted = total * (2.326765642916932 - total * 0.020884521182843837)
    fitted += 6.248496625763138e-05 * total**3
    return 100 - 10 * fitted**0.6276336467831387 if fitted > 0 else 100.0
