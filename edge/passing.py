"""An answer on its way through: its head is here, its body still comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from edge.rules.stored import Fields

# Long enough for whoever asked to begin; who has left by then does not keep the connection.
_UNTAKEN_S = 5.0


class Passing:
    """Enter it to read ``pieces``; leaving closes it. ``fields`` are end to end.

    One that nobody enters closes itself: its client may have gone while the origin was asked.
    """

    def __init__(
        self, status: int, fields: Fields, pieces: AsyncIterator[bytes], held: AsyncExitStack
    ) -> None:
        self.status = status
        self.fields = fields
        self.pieces = pieces
        self._held = held
        self._closing: asyncio.Task[None] | None = None
        self._due = asyncio.get_running_loop().call_later(_UNTAKEN_S, self._give_up)

    async def __aenter__(self) -> Self:
        self._due.cancel()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._held.aclose()

    def _give_up(self) -> None:
        self._closing = asyncio.create_task(self._held.aclose())
