"""Approvals as a file: one JSON object per line, to ship a sample or to move between origins.

Digests of models and originals are hex, fingerprints base64. The file carries no signature: who
publishes from it generates each picture again and signs only what matches.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from kvsync.errors import InputError
from kvsync.files import write_file
from kvsync.record import Check, FittedRecipe, PromptRecipe


class RecipeLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipe; ``size`` is width and height in pixels, a fitted one's ``payload`` is base64."""

    model: str
    prompt: str
    seed: int
    size: tuple[int, int]
    steps: int
    sampler: str
    guidance: float
    method: Literal["prompt", "fitted"]
    payload: bytes = b""

    @classmethod
    def of(cls, recipe: PromptRecipe) -> "RecipeLine":
        return cls(
            model=recipe.model.hex(),
            prompt=recipe.prompt,
            seed=recipe.seed,
            size=(recipe.width, recipe.height),
            steps=recipe.steps,
            sampler=recipe.sampler,
            guidance=recipe.guidance,
            method="fitted" if isinstance(recipe, FittedRecipe) else "prompt",
            payload=recipe.carried,
        )

    def recipe(self) -> PromptRecipe:
        width, height = self.size
        plain = PromptRecipe(
            bytes.fromhex(self.model),
            self.prompt,
            self.seed,
            width,
            height,
            self.steps,
            self.sampler,
            self.guidance,
        )
        return plain.with_payload(self.payload) if self.method == "fitted" else plain


class CheckLine(msgspec.Struct, frozen=True):
    algorithm: str
    digest: bytes

    def check(self) -> Check:
        return Check(0, self.algorithm, self.digest)


class Metrics(msgspec.Struct, frozen=True):
    """Against the original: SSIMULACRA2, mean CIEDE2000 inside the attributes' masks, PSNR (dB)."""

    ssimulacra2: float
    delta_e: float
    psnr: float


class OriginalLine(msgspec.Struct, frozen=True):
    """The original that was approved against; ``validator`` is the ETag it had there."""

    validator: str
    digest: str
    media_type: str
    size: int


class Approved(msgspec.Struct, frozen=True):
    """One approval; ``approved_at`` is in Unix seconds, ``approver`` a person's name."""

    path: str
    family: str
    attributes: dict[str, Any]
    recipe: RecipeLine
    check: CheckLine
    metrics: Metrics
    original: OriginalLine
    approver: str
    approved_at: int


def read_approved(path: Path) -> list[Approved]:
    """:class:`InputError` names the line that cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot read approvals: {error.strerror}") from error
    return [_parse(line, f"{path}, line {at}") for at, line in enumerate(lines, 1) if line.strip()]


def write_approved(path: Path, entries: list[Approved]) -> None:
    lines = [msgspec.json.encode(entry) for entry in entries]
    write_file(path, b"".join(line + b"\n" for line in lines))


def _parse(line: bytes, where: str) -> Approved:
    try:
        entry = msgspec.json.decode(line, type=Approved)
        bytes.fromhex(entry.recipe.model), bytes.fromhex(entry.original.digest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InputError(f"{where}: not an approval: {error}") from error
    if not entry.approver.strip():
        raise InputError(f"{where}: names no approver; nothing approves by itself")
    return entry
