"""Operating-system processes of the system: started, waited for, killed, hung and stopped."""

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kvsync.errors import InputError, RehydrationError

START_SECONDS = 120.0
STOP_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StartError(RehydrationError):
    """A part did not come up; says which, and shows the end of its log."""

    reason = "start"


@dataclass(frozen=True)
class Part:
    """What it takes to run one part: its command, environment and how to see that it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    url: str


@dataclass
class Running:
    """A part and its process, in a process group of its own."""

    part: Part
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    list(self.part.command),
                    env={**os.environ, **self.part.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise InputError(
                    f"{self.part.name}: cannot run {self.part.command[0]}: {error.strerror}"
                ) from error

    async def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Poll until the part is ready; :class:`StartError` if it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(self.part.ready):
            if self.process.poll() is not None:
                raise StartError(f"{self.part.name} {self.end}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.part.name} was not ready in {seconds:.0f} s: see {self.log}"
                )
            await asyncio.sleep(0.05)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def end(self) -> str:
        """How a part that is no longer alive ended, in words."""
        code = self.process.returncode
        return f"ended with code {code}" if code >= 0 else f"was killed by signal {-code}"

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait for its end."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def hang(self) -> None:
        """SIGSTOP: the process keeps its sockets and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what has not ended after ten seconds."""
        if not self.alive:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"nothing in {self.log}"


def _die_with_parent() -> None:
    """So that no part outlives a supervisor that was killed (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
