import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest

from kvsync.errors import Busy, MalformedRecord, RehydrationError
from kvsync.record import PromptRecipe
from regional_gpu.generator.load import Generator
from regional_gpu.service.batcher import Batcher, BatchLimits, Generated
from regional_gpu.service.device_time import Account
from regional_gpu.service.generation import Pixels
from regional_gpu.service.metrics import RegionMetrics
from regional_gpu.service.schedule import Pace, Ticket


def recipe(prompt: str, model: bytes = b"m" * 32) -> PromptRecipe:
    return PromptRecipe(model, prompt, 0, 8, 8)


@dataclass
class Press:
    """Stands where a generator does: it can be held up, and remembers its batches."""

    batches: list[list[str]] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    seconds_per_image: float = 0.0

    def generate(
        self, generator: Generator, recipes: Sequence[PromptRecipe]
    ) -> list[Pixels | RehydrationError]:
        prompts = [one.prompt for one in recipes]
        self.batches.append(prompts)
        if "crash" in prompts:
            raise RuntimeError("device lost")
        assert self.go.wait(5)
        time.sleep(self.seconds_per_image * len(recipes))
        return [
            MalformedRecord("unknown word") if prompt == "bad" else np.zeros((8, 8, 3), np.uint8)
            for prompt in prompts
        ]


@dataclass
class Line:
    press: Press
    batcher: Batcher

    def admit(self, prompt: str, model: bytes = b"m" * 32, *, patience_s: float = 5.0) -> Ticket:
        deadline = time.monotonic() + patience_s
        return self.batcher.admit(recipe(prompt, model), deadline, model_ready_s=0.0, finish_s=0.0)

    async def ask(
        self, prompt: str, model: bytes = b"m" * 32, *, patience_s: float = 5.0
    ) -> Generated:
        ticket = self.admit(prompt, model, patience_s=patience_s)
        try:
            return await self.batcher.picture(
                ticket, cast(Generator, None), ticket.recipe, Account("shop", "boots")
            )
        finally:
            self.batcher.leave(ticket)

    async def hold_up(self) -> "asyncio.Task[Generated]":
        """Get the press busy with one picture that waits for ``press.go``."""
        task = asyncio.create_task(self.ask("first"))
        while not self.press.batches:
            await asyncio.sleep(0.001)
        return task


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    press = Press()
    limits = BatchLimits(max_batch=3, window_s=0.0, max_in_flight=6)
    batcher = Batcher(press.generate, lambda: None, limits, Pace(), RegionMetrics())
    await batcher.start()
    yield Line(press, batcher)
    press.go.set()
    await batcher.close()


async def test_batches_form_while_the_accelerator_is_busy(line: Line) -> None:
    first = await line.hold_up()
    rest = [asyncio.create_task(line.ask(prompt)) for prompt in "abcd"]
    await asyncio.sleep(0.01)
    line.press.go.set()
    await asyncio.gather(first, *rest)
    assert line.press.batches == [["first"], ["a", "b", "c"], ["d"]]


async def test_models_take_turns_and_do_not_mix(line: Line) -> None:
    first = await line.hold_up()
    rest = [
        asyncio.create_task(line.ask(prompt, model * 32))
        for prompt, model in (("a", b"x"), ("b", b"y"), ("c", b"x"))
    ]
    await asyncio.sleep(0.01)
    line.press.go.set()
    await asyncio.gather(first, *rest)
    assert line.press.batches == [["first"], ["a", "c"], ["b"]]


async def test_one_whose_deadline_passes_in_the_queue_is_dropped(line: Line) -> None:
    first = await line.hold_up()
    hasty = asyncio.create_task(line.ask("hasty", patience_s=0.02))
    await asyncio.sleep(0.04)
    line.press.go.set()
    with pytest.raises(Busy):
        await hasty
    await first
    assert line.press.batches == [["first"]]


async def test_a_bad_recipe_fails_alone(line: Line) -> None:
    first = await line.hold_up()
    bad, good = asyncio.create_task(line.ask("bad")), asyncio.create_task(line.ask("good"))
    await asyncio.sleep(0.01)
    line.press.go.set()
    with pytest.raises(MalformedRecord):
        await bad
    assert (await good).pixels.shape == (8, 8, 3)
    await first


async def test_the_line_goes_on_after_a_crash(line: Line) -> None:
    line.press.go.set()
    with pytest.raises(RuntimeError, match="device lost"):
        await line.ask("crash")
    assert (await line.ask("next")).pixels.shape == (8, 8, 3)


async def test_the_queue_is_bounded(line: Line) -> None:
    tickets = [line.admit(str(number)) for number in range(6)]
    with pytest.raises(Busy, match="6 pictures wait already"):
        line.admit("one too many")
    line.batcher.leave(tickets[0])
    line.admit("fits now")


async def test_what_would_be_late_is_refused_at_once(line: Line) -> None:
    line.press.seconds_per_image = 0.05
    line.press.go.set()
    await line.ask("to learn the pace")
    line.press.go.clear()
    line.press.batches.clear()
    first = await line.hold_up()
    began = time.monotonic()
    with pytest.raises(Busy) as refusal:
        line.admit("late", patience_s=0.06)
    assert time.monotonic() - began < 0.02 and refusal.value.retry_after_s == 1
    line.admit("in time", patience_s=0.5)
    line.press.go.set()
    await first


async def test_waiting_and_generating_are_timed_apart(line: Line) -> None:
    line.press.seconds_per_image = 0.02
    first = await line.hold_up()
    second = asyncio.create_task(line.ask("second"))
    await asyncio.sleep(0.05)
    line.press.go.set()
    await first
    found = await second
    assert found.queue_s >= 0.05 and 0.02 <= found.generate_s < 0.05 + found.queue_s
