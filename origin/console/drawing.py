"""Pictures for a person's eyes, drawn in a child process of its own: the console has no torch."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec

from kvsync.errors import ModelError, Overloaded
from kvsync.record import PromptRecipe
from origin.console.children import limit_child, limit_time
from origin.console.pictures import OF_THE_ORIGINAL, OF_THE_RECIPE, Kind, Pictures, name_of
from origin.ledger.own_work import Spent

_PATIENCE_S: Final = 60.0
_CHILD_MEMORY: Final = 8 << 30
_MOST_CPU_S: Final = 120


class Drawing:
    """Draws candidates' pictures as WebP, without loss but for thumbnails and error maps."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def draw(
        self,
        kind: Kind,
        model: Path,
        recipe: PromptRecipe,
        original: Callable[[], bytes],
        told: Callable[[Spent], None],
    ) -> bytes:
        """One picture of a candidate; ``original`` reads the asset's bytes, and ``told`` is what
        drawing took, where it was not drawn before.

        Raises ModelError when the model cannot draw it, Overloaded when that takes too long.
        """
        source = b"" if kind in OF_THE_RECIPE else original()
        name = name_of(kind, recipe.model, recipe, source)
        data = self._pictures.find(name)
        if data is None:
            data, spent = self._ask(kind, model, msgspec.msgpack.encode(recipe), source)
            self._pictures.keep(name, data)
            told(spent)
        return data

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, kind: Kind, model: Path, recipe: bytes, source: bytes) -> tuple[bytes, Spent]:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1, get_context("spawn"), limit_child, (_CHILD_MEMORY,)
                )
            future = self._pool.submit(_draw, kind, str(model), recipe, source)
        try:
            return future.result(_PATIENCE_S)
        except TimeoutError as error:
            future.cancel()
            raise Overloaded("drawing takes too long just now; try again") from error
        except BrokenProcessPool as error:
            self.close()
            raise ModelError("the picture could not be drawn: its process ended") from error


def _draw(kind: Kind, model: str, recipe: bytes, source: bytes) -> tuple[bytes, Spent]:
    """Runs in the child, which alone imports torch."""
    busy_from, held_from = time.process_time(), time.monotonic()
    from origin.console.painting import paint

    limit_time(_MOST_CPU_S)
    data = paint(kind, Path(model), recipe, source)
    images = int(kind not in OF_THE_ORIGINAL)
    spent = Spent(images, time.process_time() - busy_from, time.monotonic() - held_from)
    return data, spent
