"""How one shot of a posed family was taken, found for its record."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from origin.training.posed import LEAST_SIDE, reduced
from origin.training.registration import Scene, register
from regional_gpu.generator.load import Generator, Job
from regional_gpu.generator.payload import pack
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.posed_network import PoseNetwork
from regional_gpu.generator.shots import CHANNELS, SETTINGS, Frame

# Reductions, and the Gauss-Newton steps at each.
SCHEDULE = ((8, 6), (4, 4), (2, 4), (1, 4))
# Then tints move as well, for so many steps.
LAST = 3
# As the colours are known, edges a pixel off are to be heeded: less would lock on a weave.
ROBUST = 0.1
# Places nearer than this, in pixels of the reduction, are one; errors so much larger are wrong.
SAME = 0.5
WORSE = 1.5


def fitted_job(generator: Generator, job: Job, reference: NDArray[np.uint8]) -> Job:
    """The job as its record would have it: of a model of shots with the payload that was found for
    ``reference``, (height, width, 3) sRGB; of any other as it is.

    Raises InputError for a prompt that the model cannot read.
    """
    if not isinstance(generator, PosedGenerator):
        return job
    return replace(job, payload=fit_payload(generator, job.prompt, reference))


@torch.inference_mode()
def fit_payload(generator: PosedGenerator, prompt: str, reference: NDArray[np.uint8]) -> bytes:
    """The payload with which ``prompt`` comes nearest to ``reference``, (height, width, 3) sRGB.

    Raises InputError for a prompt that the model cannot read.
    """
    layout = generator.vocabulary.layout(prompt)
    frame = generator.posed.frames[layout]
    pictures = generator.posed.layers[layout].cpu()
    codes = generator.codes(prompt).cpu().view(len(generator.posed.frames), -1, CHANNELS)[layout]
    tries = _starts(generator.pose, layout, codes.numel())
    for factor, steps in SCHEDULE:
        if factor > 1 and min(frame.height, frame.width) // factor < LEAST_SIDE:
            continue
        small = Frame(frame.height, frame.width, frame.margin, factor)
        scene = Scene(small, _reduced(pictures, factor), codes)
        shot = reduced(reference, factor)
        found = [
            register(scene, shot, start, steps, free=SETTINGS, robust=ROBUST) for start in tries
        ]
        tries = _distinct(found, SAME * factor / frame.half)
    settings, _ = register(scene, shot, tries[0], LAST, free=generator.latents, robust=ROBUST)
    latents = generator.pose.latents(settings.to(generator.device), layout).cpu()
    return pack(torch.cat([latents, settings[SETTINGS:]]).numpy())


def _starts(pose: PoseNetwork, layout: int, tints: int) -> list[Tensor]:
    """The family's middle, and shifted from it by two standard deviations eight ways."""
    middle = torch.cat([pose.centre[layout].cpu(), torch.zeros(tints)])
    spread = pose.spread[layout].cpu().square().sum(dim=1).sqrt()[:2]
    starts = []
    for way in sorted(product((0, -2, 2), repeat=2), key=lambda way: way != (0, 0)):
        start = middle.clone()
        start[:2] += spread * torch.tensor(way)
        starts.append(start)
    return starts


def _distinct(found: Sequence[tuple[Tensor, float]], apart: float) -> list[Tensor]:
    """The best first, without those that came to the same place or are far worse."""
    best = min(error for _, error in found)
    kept: list[Tensor] = []
    for settings, error in sorted(found, key=lambda one: one[1]):
        near = any(float((settings[:2] - other[:2]).norm()) < apart for other in kept)
        if error <= WORSE * best and not near:
            kept.append(settings)
    return kept


def _reduced(pictures: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return pictures
    planes = F.avg_pool2d(
        pictures.permute(0, 3, 1, 2), factor, ceil_mode=True, count_include_pad=False
    )
    return planes.permute(0, 2, 3, 1).contiguous()
