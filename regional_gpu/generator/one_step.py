"""What our own generators have in common: one size, few steps, and jobs drawn by layout."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError
from regional_gpu.generator.load import Job

Draw = Callable[[Sequence[Job], int], NDArray[np.uint8]]


def check(
    job: Job, width: int, height: int, *, takes_payload: bool = False, most_steps: int = 1
) -> None:
    """Raises InputError for another size, a payload where none is taken, or other settings than
    up to ``most_steps`` of Euler."""
    if (job.width, job.height) != (width, height):
        size = f"{width}x{height}"
        raise InputError(f"size {job.width}x{job.height}: this model makes {size} only")
    if job.payload and not takes_payload:
        raise InputError("payload: this model takes none; its recipe's method is prompt")
    if not 1 <= job.steps <= most_steps or job.sampler.casefold() != "euler" or job.guidance > 1:
        asked = f"{job.steps} steps of {job.sampler} with guidance {job.guidance:g}"
        takes = "1 step" if most_steps == 1 else f"1 to {most_steps} steps"
        raise InputError(f"{asked}: a family model takes {takes} of Euler, guidance 1")


def by_layout(
    jobs: Sequence[Job], layout_of: Callable[[str], int], draw: Draw, most: int
) -> list[NDArray[np.uint8]]:
    """The jobs' pictures in order, drawn at most ``most`` of one layout at a time."""
    members: dict[int, list[int]] = defaultdict(list)
    for at, job in enumerate(jobs):
        members[layout_of(job.prompt)].append(at)
    pictures: dict[int, NDArray[np.uint8]] = {}
    for layout, own in members.items():
        for start in range(0, len(own), most):
            chunk = own[start : start + most]
            pictures |= zip(chunk, draw([jobs[at] for at in chunk], layout), strict=True)
    return [pictures[at] for at in range(len(jobs))]
