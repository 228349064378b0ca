"""Trains diffusers' own denoiser for a posed family: a seed then says how a shot is taken.

Rectified flow (Liu et al. 2023) on a fixed coupling: each shot of the gallery is tied to the
nearest of its prompt's first seeds (implicit maximum likelihood, Li and Malik 2018), every other
seed to itself, as the latents of shots are normal already. So a gallery's shot is found again
among so many seeds, and any other seed or prompt draws a shot like the gallery's.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from torch import Tensor

from kvsync.errors import InputError
from origin.gallery import Gallery
from origin.training.payload_fit import fit_payload
from regional_gpu.generator.family_generator import MASKS
from regional_gpu.generator.model_folder import describe
from regional_gpu.generator.payload import unpack
from regional_gpu.generator.philox import normals
from regional_gpu.generator.posed_flow import save
from regional_gpu.generator.posed_generator import PosedGenerator
from regional_gpu.generator.shots import SETTINGS

SEEDS = 64
HEADS, HEAD_WIDTH, LAYERS = 4, 24, 2
TURNS = 6_000
RATE = 2e-3
# Random prompts and seeds beside the gallery's shots in each step.
OTHERS = 72

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Ties:
    """The gallery's shots and the seeds they are tied to."""

    said: Tensor  # (shots, tokens), how much of each token a prompt names
    noise: Tensor  # (shots, SETTINGS), of the nearest seed
    latents: Tensor  # (shots, SETTINGS), how the shot was taken


@dataclass(frozen=True)
class FlowReport:
    """What training made."""

    digest: bytes
    model_bytes: int
    seconds: float
    error: float  # root mean square of the shots' latents after four steps, standard deviations


def train_flow(
    gallery: Gallery,
    posed: PosedGenerator,
    out: Path,
    *,
    progress: Progress,
    seed: int = 0,
    turns: int = TURNS,
) -> FlowReport:
    """Train the denoiser for a posed model and write the pipeline into the empty folder ``out``.

    The model's own folder lends its masks. Raises InputError when the model is of another gallery.
    """
    started = time.monotonic()
    ties = _tie(gallery, posed, progress)
    prior, error = _fit(ties, progress, seed, turns)
    save(out, posed, prior)
    shutil.copyfile(posed.folder / MASKS, out / MASKS)
    manifest = describe(out)
    return FlowReport(
        manifest.digest,
        sum(file.size for file in manifest.files),
        time.monotonic() - started,
        error,
    )


def _tie(gallery: Gallery, posed: PosedGenerator, progress: Progress) -> Ties:
    if (gallery.width, gallery.height) != (posed.posed.width, posed.posed.height):
        raise InputError(f"{gallery.folder}: not the gallery of this model: another picture size")
    seeds = np.stack([normals(seed, 0, SETTINGS) for seed in range(SEEDS)])
    said, noise, latents = [], [], []
    for at, asset in enumerate(gallery.assets):
        progress("finding how shots were taken", 0.7 * at / len(gallery.assets))
        prompt = gallery.prompt(asset.attributes)
        payload = fit_payload(posed, prompt, gallery.pixels(asset))
        own = unpack(payload, posed.latents)[:SETTINGS]
        nearest = int(np.square(seeds - own).sum(axis=1).argmin())
        said.append(posed.vocabulary.weights(prompt))
        noise.append(seeds[nearest])
        latents.append(own)
    return Ties(*(torch.from_numpy(np.stack(rows)) for rows in (said, noise, latents)))


def _fit(ties: Ties, progress: Progress, seed: int, turns: int) -> tuple[PriorTransformer, float]:
    torch.manual_seed(seed)
    prior = PriorTransformer(
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_WIDTH,
        num_layers=LAYERS,
        embedding_dim=SETTINGS,
        num_embeddings=0,
        encoder_hid_proj_type=None,
        embedding_proj_dim=ties.said.shape[1],
    )
    optimiser = torch.optim.AdamW(prior.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=turns)
    for turn in range(turns):
        if turn % 100 == 0:
            progress("training the denoiser", 0.7 + 0.3 * turn / turns)
        loss = _loss(prior, ties)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    prior.eval()
    return prior, _walked_error(prior, ties)


def _loss(prior: PriorTransformer, ties: Ties) -> Tensor:
    """Squared error of the velocity along straight paths: the shots', and paths of other seeds,
    which stand still."""
    count = len(ties.said)
    others = torch.randn(OTHERS, SETTINGS)
    who = torch.randint(count, (OTHERS,))
    said = torch.cat([ties.said, ties.said[who]])
    noise = torch.cat([ties.noise, others])
    latents = torch.cat([ties.latents, others])
    # The first step counts most: all later ones start where it leads.
    sigma = torch.where(torch.rand(len(said)) < 0.3, torch.ones(len(said)), torch.rand(len(said)))
    x = latents + sigma[:, None] * (noise - latents)
    velocity = prior(x, 1000 * sigma, said).predicted_image_embedding
    error: Tensor = (velocity - (noise - latents)).square().mean()
    return error


@torch.inference_mode()
def _walked_error(prior: PriorTransformer, ties: Ties) -> float:
    x = ties.noise
    for sigma in (1.0, 0.75, 0.5, 0.25):
        times = torch.full((len(x),), 1000 * sigma)
        x = x - 0.25 * prior(x, times, ties.said).predicted_image_embedding
    return float((x - ties.latents).square().mean().sqrt())
