"""How one shot of a posed family was taken, found for its record."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from origin.training.posed import LEAST_SIDE, reduced
from origin.training.registration import Scene, register
from regional_gpu.generator.payload import pack
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.shots import CHANNELS, SETTINGS, Frame

# Reductions, and the Gauss-Newton steps at each.
SCHEDULE = ((8, 6), (4, 3), (2, 3), (1, 3))


@torch.inference_mode()
def fit_payload(generator: PosedGenerator, prompt: str, reference: NDArray[np.uint8]) -> bytes:
    """The payload with which ``prompt`` comes nearest to ``reference``, (height, width, 3) sRGB.

    Raises InputError for a prompt that the model cannot read.
    """
    layout = generator.vocabulary.layout(prompt)
    frame = generator.posed.frames[layout]
    pictures = generator.posed.layers[layout].cpu()
    codes = generator.codes(prompt).cpu().view(len(generator.posed.frames), -1, CHANNELS)[layout]
    settings = torch.zeros(SETTINGS + codes.numel())
    settings[:SETTINGS] = generator.pose.centre[layout].cpu()
    for factor, steps in SCHEDULE:
        if factor > 1 and min(frame.height, frame.width) // factor < LEAST_SIDE:
            continue
        small = Frame(frame.height, frame.width, frame.margin, factor)
        scene = Scene(small, _reduced(pictures, factor), codes)
        shot = reduced(reference, factor)
        settings, _ = register(scene, shot, settings, steps, free=SETTINGS)
    return pack(generator.pose.latents(settings.to(generator.device), layout).cpu().numpy())


def _reduced(pictures: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return pictures
    planes = F.avg_pool2d(
        pictures.permute(0, 3, 1, 2), factor, ceil_mode=True, count_include_pad=False
    )
    return planes.permute(0, 2, 3, 1).contiguous()
