"""Pictures for a person's eyes, drawn in a child process of its own: the console has no torch.

What was drawn is kept on disk by what it was drawn from, the oldest going first.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal, get_args

from kvsync.errors import ModelError, Overloaded
from kvsync.files import write_file

Kind = Literal["generated", "original", "difference", "errors", "thumb", "original-thumb"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_PATIENCE_S: Final = 60.0
_CHILD_MEMORY: Final = 8 << 30
_MOST_CPU_S: Final = 120


class Drawing:
    """Draws candidates' pictures as WebP, without loss but for thumbnails and error maps."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def draw(self, kind: Kind, model: Path, recipe: bytes, original: Callable[[], bytes]) -> bytes:
        """One picture of a candidate: ``recipe`` is msgpack, ``original`` reads the asset's bytes.

        Raises ModelError when the model cannot draw it, Overloaded when that takes too long.
        """
        source = b"" if kind in ("generated", "thumb") else original()
        parts = (kind.encode(), model.name.encode(), recipe, source)
        name = hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
        kept = self._folder / f"{name}.webp"
        try:
            data = kept.read_bytes()
            os.utime(kept)
            return data
        except FileNotFoundError:
            pass
        data = self._ask(kind, model, recipe, source)
        write_file(kept, data)
        self._forget_oldest()
        return data

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, kind: Kind, model: Path, recipe: bytes, source: bytes) -> bytes:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, get_context("spawn"), _limit_child)
            future = self._pool.submit(_draw, kind, str(model), recipe, source)
        try:
            return future.result(_PATIENCE_S)
        except TimeoutError as error:
            future.cancel()
            raise Overloaded("drawing takes too long just now; try again") from error
        except BrokenProcessPool as error:
            self.close()
            raise ModelError("the picture could not be drawn: its process ended") from error

    def _forget_oldest(self) -> None:
        with self._lock:
            kept = sorted(
                ((one.stat().st_mtime, one.stat().st_size, one) for one in self._folder.iterdir()),
                key=lambda one: one[0],
            )
            excess = sum(size for _, size, _ in kept) - self._most_bytes
            for _, size, path in kept:
                if excess <= 0:
                    break
                path.unlink(missing_ok=True)
                excess -= size


def _limit_child() -> None:
    """A picture that is a bomb takes the child with it, and nothing else."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_CHILD_MEMORY, _CHILD_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _draw(kind: Kind, model: str, recipe: bytes, source: bytes) -> bytes:
    """Runs in the child, which alone imports torch."""
    import resource

    from origin.console.painting import paint

    spent = resource.getrusage(resource.RUSAGE_SELF)
    most_s = int(spent.ru_utime + spent.ru_stime) + _MOST_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (most_s, resource.RLIM_INFINITY))
    return paint(kind, Path(model), recipe, source)
