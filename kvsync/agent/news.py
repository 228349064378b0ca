"""Of what the origin is to hear soon."""

import asyncio
from contextlib import suppress


class News:
    """The properties of which something is to be reported."""

    def __init__(self) -> None:
        self._of: set[str] = set()
        self._some = asyncio.Event()

    def of(self, *properties: str) -> None:
        self._of.update(properties)
        self._some.set()

    async def wait(self, at_most_s: float) -> frozenset[str]:
        """Those properties, each told once; none where nothing happened for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._some.wait()
        self._some.clear()
        told, self._of = frozenset(self._of), set()
        return told
