"""Parts as processes: ready, dead, hung, stopped."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.processes import Part, Running, StartError
from deploy.up import tell_ends
from kvsync.errors import InputError

# Waited for at most: a busy machine may let a process wait for long.
_PATIENCE_S = 60.0
SLEEPER = "import time; time.sleep(60)"


def part(code: str, *, ready: bool = True) -> Part:
    return Part("sleeper", (sys.executable, "-c", code), {}, lambda: ready, "nowhere")


async def test_a_part_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    running = Running(part("import sys; sys.exit('no such model')", ready=False), tmp_path / "log")
    running.start()
    with pytest.raises(StartError, match="sleeper ended with code 1: no such model"):
        await running.wait_ready()


async def test_a_part_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    running = Running(part(SLEEPER, ready=False), tmp_path / "log")
    running.start()
    with pytest.raises(StartError, match="was not ready in 0 s"):
        await running.wait_ready(seconds=0.2)
    running.kill()


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    running = Running(Part("ghost", ("/no/such/program",), {}, lambda: True, ""), tmp_path / "log")
    with pytest.raises(InputError, match="ghost: cannot run /no/such/program"):
        running.start()


def test_a_hung_part_is_alive_and_can_still_be_stopped(tmp_path: Path) -> None:
    running = Running(part(SLEEPER), tmp_path / "log")
    running.start()
    running.hang()
    assert running.alive
    running.stop()
    assert not running.alive


def test_killing_takes_the_children_too(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    running = Running(part(child), tmp_path / "log")
    running.start()
    time.sleep(0.3)
    group = running.process.pid
    running.kill()
    deadline = time.monotonic() + _PATIENCE_S
    while _group_exists(group):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_part_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    supervisor = f"""
import sys, time
from pathlib import Path
from deploy.processes import Part, Running
one = Running(Part("p", (sys.executable, "-c", {SLEEPER!r}), {{}}, lambda: True, ""), Path("log"))
one.start()
print(one.process.pid, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        [sys.executable, "-c", supervisor], stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE_S
    while _group_exists(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_part_that_was_killed_is_told_once_with_its_log(tmp_path: Path) -> None:
    alive, killed = (Running(part(SLEEPER), tmp_path / name) for name in ("alive.log", "it.log"))
    told: list[str] = []
    for running in (alive, killed):
        running.start()
    watch = asyncio.create_task(tell_ends([alive, killed], told.append))
    await asyncio.sleep(0.1)
    assert told == []
    killed.kill()
    deadline = time.monotonic() + _PATIENCE_S
    while not told:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.2)  # By now it would be told again.
    watch.cancel()
    alive.kill()
    assert len(told) == 1
    assert "sleeper was killed by signal 9" in told[0] and str(tmp_path / "it.log") in told[0]


def _group_exists(group: int) -> bool:
    """Whether the group has a member that still runs (zombies do not count)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False
