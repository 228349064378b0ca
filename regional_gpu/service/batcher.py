"""One line of tickets, one thread of generation: batches form while the accelerator is busy."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from kvsync.errors import RehydrationError
from kvsync.record import PromptRecipe
from regional_gpu.generator.load import Generator
from regional_gpu.service.device_time import Account
from regional_gpu.service.generation import Generate, Pixels
from regional_gpu.service.metrics import RegionMetrics, model_label
from regional_gpu.service.schedule import Load, Pace, Ticket, admit, choose, too_late


class Generated(NamedTuple):
    """A picture (height, width, 3), the seconds it waited, those its batch took, and its share of
    those that the device was busy for that."""

    pixels: Pixels
    queue_s: float
    generate_s: float
    device_s: float


@dataclass(frozen=True)
class BatchLimits:
    """``max_in_flight`` counts tickets from admission until they leave, wherever they wait."""

    max_batch: int
    window_s: float
    max_in_flight: int


@dataclass(frozen=True, eq=False, slots=True)
class _Place:
    generator: Generator
    recipe: PromptRecipe
    account: Account
    result: "asyncio.Future[Generated]"


class Batcher:
    """Tickets are let in, stand in line once their model is loaded, and leave when done."""

    def __init__(
        self,
        generate: Generate,
        prepare_thread: Callable[[], None],
        limits: BatchLimits,
        pace: Pace,
        metrics: RegionMetrics,
    ) -> None:
        self._generate, self._limits, self._pace, self._metrics = generate, limits, pace, metrics
        self._tickets: dict[Ticket, None] = {}
        self._running: list[Ticket] = []
        self._running_until = 0.0
        self._line: dict[Ticket, _Place] = {}
        self._some = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "generator", initializer=prepare_thread)
        self._worker: asyncio.Task[None] | None = None
        metrics.queue.set_function(lambda: len(self._tickets))

    async def start(self) -> None:
        """Take work; returns once the thread is prepared."""
        self._worker = asyncio.create_task(self._work())
        await asyncio.get_running_loop().run_in_executor(self._thread, _prepared)

    async def close(self) -> None:
        """Stop after the batch that runs."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    def admit(
        self, recipe: PromptRecipe, deadline: float, *, model_ready_s: float, finish_s: float
    ) -> Ticket:
        """A ticket to :meth:`leave` with, or :class:`kvsync.errors.Busy` at once."""
        running = set(map(id, self._running))
        load = Load(
            self._running_until if self._running else 0.0,
            tuple(one.group for one in self._tickets if id(one) not in running),
            len(self._tickets),
            self._limits.max_in_flight,
        )
        ticket = admit(
            recipe,
            now=time.monotonic(),
            deadline=deadline,
            load=load,
            pace=self._pace,
            model_ready_s=model_ready_s,
            finish_s=finish_s,
        )
        self._tickets[ticket] = None
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self._tickets.pop(ticket, None)
        self._line.pop(ticket, None)

    async def picture(
        self, ticket: Ticket, generator: Generator, recipe: PromptRecipe, account: Account
    ) -> Generated:
        """Wait for the ticket's turn; :class:`kvsync.errors.Busy` if its deadline passes first.

        ``recipe`` is the ticket's, with the payload in it that it may only name; the device's time
        is for ``account``.
        """
        place = _Place(generator, recipe, account, asyncio.get_running_loop().create_future())
        self._line[ticket] = place
        self._some.set()
        return await place.result

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            if self._limits.window_s and len(self._line) < self._limits.max_batch:
                await asyncio.sleep(self._limits.window_s)
            now = time.monotonic()
            choice = choose(list(self._line), now=now, max_batch=self._limits.max_batch)
            for ticket in choice.expired:
                _settle(self._line.pop(ticket).result, too_late(now, ticket.deadline))
            places = [self._line.pop(ticket) for ticket in choice.batch]
            if not self._line:
                self._some.clear()
            if places:
                await self._run(choice.batch, places)

    async def _run(self, batch: list[Ticket], places: list[_Place]) -> None:
        group, began = batch[0].group, time.monotonic()
        self._running = batch
        self._running_until = began + self._pace.expected(group) * len(batch)
        try:
            found, busy_s = await asyncio.get_running_loop().run_in_executor(
                self._thread,
                self._metrics.device.generate,
                [place.account for place in places],
                self._generate,
                places[0].generator,
                [place.recipe for place in places],
            )
        except Exception as error:  # Those who wait for the batch are told; the line goes on.
            for place in places:
                _settle(place.result, error)
            return
        finally:
            self._running = []
        took = time.monotonic() - began
        self._pace.measured(group, took / len(batch))
        self._count(group.model, len(batch), took)
        for ticket, place, picture in zip(batch, places, found, strict=True):
            if isinstance(picture, RehydrationError):
                _settle(place.result, picture)
            else:
                share_s = busy_s / len(batch)
                _settle(place.result, Generated(picture, began - ticket.asked, took, share_s))

    def _count(self, model: bytes, images: int, seconds: float) -> None:
        label = model_label(model)
        self._metrics.generations.labels(label).inc(images)
        self._metrics.generator_seconds.labels(label).inc(seconds)
        self._metrics.batch_images.observe(images)


def _prepared() -> None:
    """Nothing to do: a pool prepares its thread before the first job."""


def _settle(result: "asyncio.Future[Generated]", outcome: Generated | Exception) -> None:
    if result.done():  # Its ticket left the line meanwhile.
        return
    if isinstance(outcome, Exception):
        result.set_exception(outcome)
    else:
        result.set_result(outcome)
