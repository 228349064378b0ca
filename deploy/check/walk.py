"""``./rehydrate up --check``: walk the stories, print what was seen, say how many failed."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

from deploy.check.region_stories import REGION_STORIES
from deploy.check.stories import STORIES, Story
from deploy.check.world import Difference, World, opened
from deploy.layout import Ports, State
from deploy.sample import APPROVED, some_approvals
from deploy.system import LinkShape, System
from kvsync.errors import InputError, RehydrationError

# A model's update makes every published picture twice more.
_ONE_IN = 12


@dataclass(frozen=True)
class Walked:
    """One story's end: what was seen, how long it took in milliseconds."""

    number: int
    story: Story
    seen: str
    failed: bool
    ms: float


def check_system(links: Sequence[LinkShape], break_: str, console: Console) -> bool:
    """Start the system in a folder of its own, walk every story, print the table.

    One region has stories of its own, several have others: one link per region says how many.
    ``break_`` is a story's number, or ``all``: damage the system before that story (or each).
    True when nothing failed. The last line printed is ``{"stories": N, "failed": N}``.
    """
    stories = STORIES if len(links) == 1 else REGION_STORIES
    chosen = _chosen(break_, len(stories))
    folder = Path(tempfile.mkdtemp(prefix="rehydrate-check-"))
    try:
        approved = APPROVED if len(links) == 1 else some_approvals(folder / "some.jsonl", _ONE_IN)
        system = System(State(folder / "var"), Ports.free(len(links)), links, approved)
        walked = asyncio.run(_walk(system, stories, chosen, bool(break_), console))
    finally:
        shutil.rmtree(folder)
    _print(walked, console)
    failed = sum(one.failed for one in walked)
    print(json.dumps({"stories": len(walked), "failed": failed}), flush=True)
    return failed == 0


def _chosen(break_: str, count: int) -> Sequence[int]:
    """Story numbers (from 1): all of them, or the one to break."""
    every = range(1, count + 1)
    if break_ in ("", "all"):
        return every
    if not break_.isdigit() or int(break_) not in every:
        raise InputError(f"no story {break_!r}; there are 1 to {count}, or 'all'")
    return [int(break_)]


async def _walk(
    system: System,
    stories: Sequence[Story],
    chosen: Sequence[int],
    damaged: bool,
    console: Console,
) -> list[Walked]:
    walked = []
    with system.started():
        console.print("Starting the system…")
        await system.wait_ready()
        published = await system.publish_sample()
        console.print(
            f"{published.published} approved images published, {published.refused} refused"
        )
        async with opened(system) as world:
            for number in chosen:
                story = stories[number - 1]
                console.print(f"{number:>3} {story.title}")
                walked.append(await _one(world, number, story, damaged))
                await world.heal()
    return walked


async def _one(world: World, number: int, story: Story, damaged: bool) -> Walked:
    failed = False
    async with contextlib.AsyncExitStack() as stack:
        if damaged:
            await _damage(world, story.breaks, stack)
        begun = time.monotonic()
        try:
            seen = await story.run(world)
        except (Difference, RehydrationError, httpx2.HTTPError, OSError, TimeoutError) as error:
            seen, failed = str(error) or type(error).__name__, True
        took_ms = (time.monotonic() - begun) * 1000
    return Walked(number, story, seen, failed, took_ms)


async def _damage(world: World, what: str, stack: contextlib.AsyncExitStack) -> None:
    if what == "cache":
        await stack.enter_async_context(world.purging())
    elif what == "models":
        shutil.rmtree(world.system.state.region(world.place.name) / "models")
    else:
        world.kill(what)


def _print(walked: Sequence[Walked], console: Console) -> None:
    table = Table("#", "story", "expected", "seen", "ms")
    for one in walked:
        style = "red" if one.failed else ""
        numbers = (str(one.number), one.story.title, one.story.expected)
        table.add_row(*numbers, one.seen, f"{one.ms:.0f}", style=style)
    console.print(table)
