"""Seconds that the device is busy, and what for: by property, family and purpose.

On a GPU it is busy while a batch is on it, between two events of its own clock. On a CPU the device
is this process, so what it is busy with is its CPU time, all of it: generating, checking and
encoding by the clocks of the threads that do it, and the rest as ``other``.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from kvsync.ledger import Work
from kvsync.meter import Meter

Part = Literal["generate", "check", "encode", "other"]
Clock = Callable[[], float]
Result = TypeVar("Result")

_PARTS: tuple[Part, ...] = ("generate", "check", "encode", "other")
_TASKS = Path("/proc/self/task")
_NS = 1e-9


class Account(NamedTuple):
    """Whose time it is; ``purpose`` is ``serve``, ``calibrate`` or ``load``."""

    property: str
    family: str
    purpose: str = "serve"


class DeviceTime:
    """Adds :class:`kvsync.ledger.Work` to ``meter``, from any thread."""

    def __init__(self, meter: Meter, device: str = "cpu") -> None:
        self._meter, self._device = meter, device
        self._gpu = device != "cpu"
        # Until it is ready, what no thread tells of is bringing models in.
        self.starting = True
        self._lock = threading.Lock()
        # Work under way: a clock of its thread's CPU seconds since it began.
        self._running: dict[object, Clock] = {}
        self._told_s = self._loaded_s = self._loads_told_s = self._others_told_s = 0.0
        self._helpers_s = 0.0
        # Since the last look at the process' clock.
        self._lately: dict[Account, float] = {}
        self._generating: dict[Account, float] = {}

    @property
    def name(self) -> str:
        """The device's, as price books call it; on a GPU ask only once torch is there."""
        return _gpu_name(self._device) if self._gpu else self._device

    def generate(
        self, accounts: Sequence[Account], work: Callable[..., Result], *arguments: object
    ) -> tuple[Result, float]:
        """What a batch's ``work`` comes to, and the seconds that the device took for it; its
        images, one for each account, share them evenly."""
        with self._measured(_cuda_clock if self._gpu else _thread_clock) as seconds:
            try:
                made = work(*arguments)
            finally:
                took = seconds()
                for account in accounts:
                    self._add(account, "generate", took / len(accounts), images=1)
        return made, took

    def run(
        self, account: Account, part: Part, work: Callable[..., Result], *arguments: object
    ) -> Result:
        """What ``work`` comes to on this thread; beside a GPU it keeps no device busy."""
        if self._gpu:
            return work(*arguments)
        with self._measured(_thread_clock) as seconds:
            try:
                return work(*arguments)
            finally:
                self._add(account, part, seconds())

    def load(self, work: Callable[..., Result], *arguments: object) -> Result:
        """The same, for a model that is brought in: for whom is not known."""
        with self._measured(_thread_clock) as seconds:
            try:
                return work(*arguments)
            finally:
                with self._lock:
                    self._loaded_s += seconds()

    def settle(self, properties: Collection[str]) -> None:
        """Tell the process' CPU time so far that no thread has told of; ``properties`` share what
        is of none."""
        if self._gpu:
            return
        helpers_s = _helpers_s()
        with self._lock:
            lately, self._lately = self._lately, {}
            generating, self._generating = self._generating, {}
            running_s = sum(seconds() for seconds in self._running.values())
            helped_s = max(0.0, helpers_s - self._helpers_s) if generating else 0.0
            self._helpers_s = helpers_s
            self._share(generating, "generate", helped_s)
            others_s = time.process_time() - self._told_s - self._loaded_s - running_s
            other_s = max(0.0, others_s - self._others_told_s)
            self._others_told_s += other_s
            loaded_s, self._loads_told_s = self._loaded_s - self._loads_told_s, self._loaded_s
            loading = {Account(property, "", "load"): 1.0 for property in properties}
            self._share(loading, "other", loaded_s + (other_s if self.starting else 0.0))
            nobody = {Account(property, ""): 1.0 for property in properties}
            self._share(lately or nobody, "other", 0.0 if self.starting else other_s)

    @contextmanager
    def _measured(self, clock: Callable[[], Clock]) -> Iterator[Clock]:
        name, seconds = object(), clock()
        with self._lock:
            self._running[name] = seconds
        try:
            yield seconds
        finally:
            with self._lock:
                del self._running[name]

    def _share(self, by: Mapping[Account, float], part: Part, seconds: float) -> None:
        """Tell seconds of many, by weight."""
        whole = sum(by.values())
        if seconds and whole:
            if part != "other":
                self._told_s += seconds
            for account, weight in by.items():
                self._tell(account, part, seconds * weight / whole)

    def _add(self, account: Account, part: Part, seconds: float, images: int = 0) -> None:
        with self._lock:
            self._told_s += seconds
            self._lately[account] = self._lately.get(account, 0.0) + seconds
            if part == "generate":
                self._generating[account] = self._generating.get(account, 0.0) + seconds
            self._tell(account, part, seconds, images)

    def _tell(self, account: Account, part: Part, seconds: float, images: int = 0) -> None:
        amounts = (seconds if one == part else 0.0 for one in _PARTS)
        self._meter.add(Work, (self.name, *account), images, *amounts)


def _thread_clock() -> Clock:
    """CPU seconds of this thread from now on, whichever thread asks."""
    own = time.pthread_getcpuclockid(threading.get_ident())
    begun = time.clock_gettime(own)
    return lambda: time.clock_gettime(own) - begun


def _cuda_clock() -> Clock:
    """Seconds of the device's clock from now on, once all that was asked of it on this thread's
    stream is done."""
    import torch

    event: Any = torch.cuda.Event
    first, last = event(enable_timing=True), event(enable_timing=True)
    first.record()

    def seconds() -> float:
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1_000

    return seconds


@cache
def _gpu_name(device: str) -> str:
    """Like "h200" of "NVIDIA H200", or "a100" of "NVIDIA A100-SXM4-80GB"."""
    import torch

    words = torch.cuda.get_device_name(device).lower().replace("-", " ").split()
    return next((word for word in words if word != "nvidia"), device)


def _helpers_s() -> float:
    """CPU seconds of the threads that are not Python's: those that compute with a generator's."""
    ours = {thread.native_id for thread in threading.enumerate()}
    total = 0.0
    for task in _TASKS.iterdir() if _TASKS.exists() else ():
        if int(task.name) not in ours:
            try:
                total += int((task / "schedstat").read_text().split()[0]) * _NS
            except (OSError, IndexError):
                continue  # It ended meanwhile, or this system does not tell.
    return total
