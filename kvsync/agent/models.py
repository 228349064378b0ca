"""Models before records: a record is read in a region once its model is held there, calibrated."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import httpx2

from kvsync.wire import MODELS_PATH, Hold

_log = logging.getLogger("sync")

# A region pulls the model over the middle mile, loads it and draws the sample before it answers.
_HOLD_TIMEOUT_S = 300.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# What a model is calibrated by, spread over the records that wait for it.
SAMPLE = 8


class Models:
    """Which models every GPU service of the region holds. Without any such service, all are.

    ``came`` is called with property and model as soon as one is held everywhere.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        region_urls: Sequence[str],
        came: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        self._client = client
        self._urls = tuple(url.rstrip("/") for url in region_urls)
        self._came = came
        self._held: set[bytes] = set()
        self._bringing: dict[tuple[str, bytes], asyncio.Task[None]] = {}
        self.refused = 0

    def ready(self, model: bytes) -> bool:
        return not self._urls or model in self._held

    def announce(self, property: str, model: bytes) -> None:
        """Have a model brought in that records will need soon."""
        if not self.ready(model) and (property, model) not in self._bringing:
            self._begin((property, model), self._pull(property, model))

    def want(self, property: str, model: bytes, waiting: Mapping[bytes, bytes]) -> None:
        """Have a model held and calibrated by some of the signed records that wait for it."""
        name = (property, model)
        if self.ready(model) or name in self._bringing:
            return
        self._begin(name, self._hold(property, model, Hold(_spread(waiting, SAMPLE))))

    async def close(self) -> None:
        for task in self._bringing.values():
            task.cancel()
        await asyncio.gather(*self._bringing.values(), return_exceptions=True)

    def _begin(self, name: tuple[str, bytes], work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._bringing[name] = task
        task.add_done_callback(lambda _: self._bringing.pop(name, None))

    async def _pull(self, property: str, model: bytes) -> None:
        for url in self._urls:
            refusal = await self._ask(url, property, model, Hold())
            if refusal:
                _log.warning("model %s is not here yet: %s", model.hex()[:8], refusal)
        # Records that came meanwhile found it being brought, and wait.
        asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._came(property, model))

    async def _hold(self, property: str, model: bytes, sample: Hold) -> None:
        pause_s = _FIRST_PAUSE_S
        while refusals := await self._ask_all(property, model, sample):
            self.refused += 1
            _log.error("records wait for model %s: %s", model.hex()[:8], "; ".join(refusals))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._held.add(model)
        await self._came(property, model)

    async def _ask_all(self, property: str, model: bytes, sample: Hold) -> list[str]:
        asked = (self._ask(url, property, model, sample) for url in self._urls)
        return [refusal for refusal in await asyncio.gather(*asked) if refusal]

    async def _ask(self, url: str, property: str, model: bytes, sample: Hold) -> str:
        """Empty when the service holds the model now, otherwise why it does not."""
        where = f"{url}{MODELS_PATH}/{property}/{model.hex()}"
        try:
            answer = await self._client.post(
                where, content=sample.encode(), timeout=_HOLD_TIMEOUT_S
            )
        except httpx2.HTTPError as error:
            return f"{url}: {error or type(error).__name__}"
        return "" if answer.status_code == 200 else f"{url}: {answer.text[:300]}"


def _spread(records: Mapping[bytes, bytes], count: int) -> tuple[tuple[bytes, bytes], ...]:
    """At most ``count`` of them, evenly over the keys."""
    pairs = sorted(records.items())
    if len(pairs) <= count:
        return tuple(pairs)
    return tuple(pairs[at * len(pairs) // count] for at in range(count))
