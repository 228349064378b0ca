"""Trains diffusers' own denoiser for a posed family: a seed then says how a shot is taken.

Rectified flow (Liu et al. 2023) on a fixed coupling: each shot of the gallery is tied to the
nearest of its prompt's first seeds (implicit maximum likelihood, Li and Malik 2018), all other
noise to itself, as the latents of shots are normal already. So a gallery's shot is found again
among so many seeds, and any other seed or prompt draws a shot like the gallery's.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from numpy.typing import NDArray
from torch import Tensor

from origin.gallery import Gallery
from origin.threads import one_thread_each
from origin.training.payload_fit import fit_payload
from origin.training.posed import Progress
from regional_gpu.generator.load import load
from regional_gpu.generator.payload import unpack
from regional_gpu.generator.philox import normals
from regional_gpu.generator.posed_flow import PosedFlowPipeline, save
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.shots import SETTINGS

SEEDS = 64
HEADS, HEAD_WIDTH, LAYERS = 4, 32, 3
TURNS = 1_500
RATE = 2e-3
# Drawn from the family's attribute values, most of them not in the gallery.
OTHER_PROMPTS = 256
# The share of paths looked at where they begin: all later steps start where the first one leads.
AT_START = 0.3
FITTING = 0.6  # the share of the time that finding how shots were taken needs


@dataclass(frozen=True)
class Ties:
    """The gallery's shots and the seeds they are tied to."""

    said: Tensor  # (shots, tokens), how much of each token a prompt names
    noise: Tensor  # (shots, latents), of the nearest seed
    latents: Tensor  # (shots, latents), how the shot was taken and tinted
    prompts: Tensor  # (OTHER_PROMPTS, tokens), what any prompts of the family say

    @property
    def spread(self) -> Tensor:
        """How far seeds that no shot is tied to move each latent: those of taking are normal,
        tints vary as the gallery's do."""
        tints = self.latents[:, SETTINGS:].square().mean(dim=0).sqrt()
        return torch.cat([torch.ones(SETTINGS), tints])


@dataclass(frozen=True)
class Flow:
    """What training the denoiser came to."""

    seeds: int  # a shot is found among so many
    steps: int
    error: float  # root mean square of the shots' latents after all steps, standard deviations


def add_denoiser(gallery: Gallery, folder: Path, progress: Progress, seed: int) -> Flow:
    """Train the denoiser of the posed model in ``folder``, which becomes its flow's pipeline."""
    posed = load(folder)
    if not isinstance(posed, PosedGenerator):
        raise TypeError(f"{folder}: no posed model")
    ties = tied(gallery, posed, lambda doing, done: progress(doing, FITTING * done))
    torch.manual_seed(seed)
    denoiser = _denoiser(ties)
    with one_thread_each():
        _train(denoiser, ties, lambda doing, done: progress(doing, FITTING + (1 - FITTING) * done))
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    save(folder, posed, denoiser)
    steps = PosedFlowPipeline.most_steps
    return Flow(SEEDS, steps, walked_error(denoiser, ties, steps))


def tied(gallery: Gallery, posed: PosedGenerator, progress: Progress) -> Ties:
    """Find how every shot of the gallery was taken, and the seed that is nearest to it.

    Shots of one prompt are tied to different seeds.
    """
    seeds = np.stack([normals(seed, 0, posed.latents) for seed in range(SEEDS)])
    taken: dict[str, set[int]] = defaultdict(set)
    said, noise, latents = [], [], []
    for at, asset in enumerate(gallery.assets):
        progress("finding how shots were taken", at / len(gallery.assets))
        prompt = gallery.prompt(asset.attributes)
        own = unpack(fit_payload(posed, prompt, gallery.pixels(asset)), posed.latents)
        nearest = _nearest(seeds[:, :SETTINGS], own[:SETTINGS], taken[prompt])
        taken[prompt].add(nearest)
        said.append(posed.vocabulary.weights(prompt))
        noise.append(seeds[nearest])
        latents.append(own)
    others = [posed.vocabulary.weights(prompt) for prompt in _any_prompts(gallery)]
    return Ties(*(torch.from_numpy(np.stack(rows)) for rows in (said, noise, latents, others)))


def _any_prompts(gallery: Gallery) -> Iterator[str]:
    rng = np.random.default_rng(0)
    known = {name: gallery.values(name) for name in gallery.attributes}
    for _ in range(OTHER_PROMPTS):
        drawn = {name: own[rng.integers(len(own))] for name, own in known.items()}
        yield gallery.prompt(drawn)


def _nearest(seeds: NDArray[np.float32], own: NDArray[np.float32], taken: set[int]) -> int:
    """Which of the seeds is nearest and not another shot's already; any, once all are."""
    far = np.square(seeds - own).sum(axis=1)
    if len(taken) < len(seeds):
        far[list(taken)] = np.inf
    return int(far.argmin())


def _denoiser(ties: Ties) -> PriorTransformer:
    denoiser: PriorTransformer = PriorTransformer(
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_WIDTH,
        num_layers=LAYERS,
        embedding_dim=ties.latents.shape[1],
        num_embeddings=0,
        encoder_hid_proj_type=None,
        embedding_proj_dim=ties.said.shape[1],
    )
    return denoiser


def _train(denoiser: PriorTransformer, ties: Ties, progress: Progress) -> None:
    optimiser = torch.optim.AdamW(denoiser.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=TURNS)
    for turn in range(TURNS):
        if turn % 100 == 0:
            progress("training the denoiser", turn / TURNS)
        loss = _loss(denoiser, ties)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    denoiser.eval()


def _loss(denoiser: PriorTransformer, ties: Ties) -> Tensor:
    """Squared error of the velocity along straight paths: the shots', and as many of other noise
    under any prompt, which stays where it is."""
    count = len(ties.said)
    others = torch.randn(count, ties.noise.shape[1])
    said = torch.cat([ties.said, ties.prompts[torch.randint(len(ties.prompts), (len(others),))]])
    noise = torch.cat([ties.noise, others])
    latents = torch.cat([ties.latents, others * ties.spread])
    sigma = torch.rand(len(said)).where(torch.rand(len(said)) > AT_START, torch.ones(len(said)))
    x = latents + sigma[:, None] * (noise - latents)
    velocity = denoiser(x, 1000 * sigma, said).predicted_image_embedding
    error: Tensor = (velocity - (noise - latents)).square().mean()
    return error


@torch.inference_mode()
def walked_error(denoiser: PriorTransformer, ties: Ties, steps: int) -> float:
    """Root mean square distance from the shots' latents to what their seeds lead to."""
    x = ties.noise
    for at in range(steps):
        times = torch.full((len(x),), 1000 * (1 - at / steps))
        x = x - denoiser(x, times, ties.said).predicted_image_embedding / steps
    return float((x - ties.latents).square().mean().sqrt())
