"""Originals decoded apart: by a child process with little memory, time and no way to write."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from multiprocessing import get_context
from types import TracebackType
from typing import TYPE_CHECKING, Final

from kvsync.errors import InputError
from origin.console.children import limit_child, limit_time

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEMORY: Final = 2 << 30
CPU_S: Final = 20
# By the clock, on a machine that is busy: the limit is in seconds of the processor.
_PATIENCE_S: Final = 300.0


class Decoding(AbstractContextManager["Decoding"]):
    """A child that decodes until the block ends; one that a picture killed is replaced."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def decode(self, data: bytes, name: str) -> "NDArray[np.uint8]":
        """(height, width, 3) pixels; :class:`InputError` for what is no picture, or too much."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), limit_child, (MEMORY,))
        future = self._pool.submit(_decode, data, name)
        try:
            return future.result(_PATIENCE_S)
        except (TimeoutError, BrokenProcessPool, MemoryError) as error:
            self._end()
            raise InputError(
                f"{name} takes too much time or memory to decode: supply another"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            # A child that hangs is not waited for: its time of the processor is limited.
            pool.shutdown(wait=False, cancel_futures=True)


def _decode(data: bytes, name: str) -> "NDArray[np.uint8]":
    from regional_gpu.generator.encode import decode

    limit_time(CPU_S)
    return decode(data, name)
