"""A model of a family with content, loaded the quick way: no diffusers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kvsync.errors import ModelError
from regional_gpu.generator.content_network import ContentNetwork
from regional_gpu.generator.family_generator import read_network
from regional_gpu.generator.load import Job
from regional_gpu.generator.network import CHANNELS, TextNetwork
from regional_gpu.generator.one_step import by_layout, check
from regional_gpu.generator.text import read_vocabulary

MAX_BATCH = 8


class ContentGenerator:
    """Generates a family with content; what `load` gives for a `ContentPipeline`.

    The prompt says all there is to say: every seed draws the same picture.
    """

    def __init__(self, folder: Path, digest: bytes, device: str = "cpu") -> None:
        self.digest = digest
        self.device = torch.device(device)
        self.vocabulary = read_vocabulary(folder / "tokenizer" / "vocabulary.json")
        self.text = read_network(TextNetwork, folder / "text_encoder", self.device)
        self.content = read_network(ContentNetwork, folder / "decoder", self.device)
        fits = (
            len(self.vocabulary.layouts) == self.content.layouts
            and len(self.text.embedding) == len(self.vocabulary.tokens)
            and self.text.embedding.shape[1] == CHANNELS * self.content.components
        )
        if not fits:
            raise ModelError(f"{folder}: its parts do not fit together; train it again")
        self._reach = self._reaches()
        self._masks: dict[int, NDArray[np.uint8]] = {}

    @property
    def size_bytes(self) -> int:
        return self.content.size_bytes

    @torch.inference_mode()
    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        for job in jobs:
            check(job, self.content.width, self.content.height)
        return by_layout(jobs, self.vocabulary.layout, self._draw, MAX_BATCH)

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        layout = self.vocabulary.layout(prompt)
        if layout not in self._masks:
            self._masks[layout] = self.content.masks(layout, self._reach)
        return self._masks[layout]

    def _draw(self, jobs: Sequence[Job], layout: int) -> NDArray[np.uint8]:
        weights = np.stack([self.vocabulary.weights(job.prompt) for job in jobs])
        codes = self.text(torch.from_numpy(weights).to(self.device))
        pixels: NDArray[np.uint8] = self.content(codes, layout).cpu().numpy()
        return pixels

    def _reaches(self) -> NDArray[np.float32]:
        """The largest difference of two values' codes, (attributes, components)."""
        tokens = self.vocabulary.tokens
        codes = self.text.embedding.detach().cpu().numpy().reshape(len(tokens), -1, CHANNELS)
        rows = [
            [at for (owner, _), at in tokens.items() if owner == name]
            for name in self.vocabulary.attributes
        ]
        reach = [np.ptp(codes[own], axis=0).max(axis=-1) for own in rows]
        return np.asarray(reach, dtype=np.float32)
