"""Finished stages of a training, kept beside its model until that is whole.

A training that was killed goes on after the last stage that it finished. Stages are data, one file
each, in a folder named by the digest of what they were made from: the gallery's files, the seed
and the code. Time spent before counts as this training's.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar, get_origin

import msgspec
import numpy as np
import torch

from kvsync.errors import InputError
from kvsync.files import write_file
from origin.gallery import Gallery

Made = TypeVar("Made")

ROOT: Final = Path(__file__).resolve().parents[2]
CODE: Final = (ROOT / "origin" / "training", ROOT / "regional_gpu" / "generator")
KEY_BYTES: Final = 12


class _Kept(msgspec.Struct, frozen=True):
    seconds: float  # of training, all told, when the stage was finished
    made: msgspec.Raw


@dataclass
class Stages:
    """What a training of one gallery has finished, in ``folder``."""

    folder: Path
    spent: float = 0.0  # seconds, by trainings that were killed
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long training has taken until now, over all its runs."""
        return self.spent + time.monotonic() - self._started

    def kept(self, name: str, kind: type[Made], make: Callable[[], Made]) -> Made:
        """What ``make`` gives, or what it gave in a training that was killed afterwards.

        ``kind``: a dataclass or struct of numbers, texts, arrays and tensors; it comes back the
        same bit by bit.
        """
        path = self.folder / f"{name}.stage"
        if path.is_file():
            found = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
            return msgspec.msgpack.decode(found.made, type=kind, dec_hook=_array_from)
        made = make()
        encoded = msgspec.msgpack.encode(made, enc_hook=_array_to)
        kept = _Kept(self.seconds, msgspec.Raw(encoded))
        write_file(path, msgspec.msgpack.encode(kept))
        return made

    def leave(self) -> None:
        """Until a training goes on from here; where no stage was finished, nothing stays."""
        with suppress(OSError):
            self.folder.rmdir()
            self.folder.parent.rmdir()

    def forget(self) -> None:
        """The model is whole: nothing of this is needed any more."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def stages_beside(out: Path, gallery: Gallery, *options: object) -> Stages:
    """The stages of training ``gallery`` into ``out`` with ``options``; others' are forgotten."""
    every = out.with_name(f".{out.name}-stages")
    folder = every / content_key(gallery, *options)
    if every.is_dir():
        for other in every.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    notes = folder.glob("*.stage") if folder.is_dir() else ()
    spent = [msgspec.msgpack.decode(path.read_bytes(), type=_Kept).seconds for path in notes]
    return Stages(folder, max(spent, default=0.0))


def content_key(gallery: Gallery, *options: object) -> str:
    """Names a gallery as it is now, options, and the code that would train on it."""
    digest = blake2b(repr(options).encode(), digest_size=KEY_BYTES)
    for data in (*_gallery(gallery), *_code()):
        digest.update(blake2b(data).digest())
    return digest.hexdigest()


def _gallery(gallery: Gallery) -> Iterator[bytes]:
    yield repr((gallery.phrase, gallery.background, gallery.kinds, gallery.synonyms)).encode()
    for asset in gallery.assets:
        yield repr((asset.file, dict(asset.attributes))).encode()
        path = gallery.folder / asset.file
        try:
            yield path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error


def _code() -> Iterator[bytes]:
    for package in CODE:
        for path in sorted(package.rglob("*.py")):
            yield path.read_bytes()


def _array_to(value: Any) -> Any:
    array = value.numpy() if isinstance(value, torch.Tensor) else value
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be kept")
    return [array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes()]


def _array_from(kind: type, kept: Any) -> Any:
    dtype, shape, data = kept
    array = np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()
    return torch.from_numpy(array) if (get_origin(kind) or kind) is torch.Tensor else array
