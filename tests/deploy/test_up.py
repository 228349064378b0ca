"""The whole system as a newcomer meets it: started, looked at in a browser, broken, stopped."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as TimedOut

from deploy.check.stories import STORIES
from deploy.layout import HOST, ROOT

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Waited for at most: on a busy machine everything comes late.
PATIENCE_S = 240.0
SHOWN = "main :is(.stage, #gallery) .badge"
_PORTS = 14
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def neighbouring_ports() -> int:
    """The first of a region's neighbouring ports, all free; another one in every run."""
    for first in random.sample(range(20_000, 30_000, _PORTS), 100):
        with socket.socket() as probe:
            if all(probe.connect_ex((HOST, first + offset)) for offset in range(_PORTS)):
                return first
    raise AssertionError("no free ports")


@contextmanager
def up(
    state: Path, port: int, *options: str, hear: Callable[[str], object] = len
) -> Iterator[subprocess.Popen[str]]:
    """``./rehydrate up``, until it has said where to look; ``hear`` is told every line of it."""
    command = [sys.executable, "-m", "deploy", "up", "--port", str(port), "--state", str(state)]
    command += options
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                hear(line)
                if "Ctrl-C stops" in line:
                    break
            else:
                raise AssertionError(said)
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "var"


@pytest.fixture(scope="module")
def shop(state: Path) -> Iterator[str]:
    port = neighbouring_ports()
    with up(state, port):
        yield f"http://localhost:{port}"


@pytest.fixture
def page(shop: str) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(PATIENCE_S * 1_000)
        faults: list[str] = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto(shop)
        yield opened
        browser.close()
    assert not faults


def test_a_shopper_sees_where_each_picture_came_from(page: Page) -> None:
    _some_rehydrated(page)
    pictures = page.locator("main img[src^=blob]")
    pictures.first.wait_for()
    assert pictures.first.evaluate("picture => picture.naturalWidth") == 768


def _some_rehydrated(page: Page) -> None:
    """Loaded again where the region missed every deadline and the origin stood in for it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            page.locator(f"{SHOWN}[data-outcome=rehydrated]").first.wait_for(timeout=30_000)
        except TimedOut:
            assert time.monotonic() < deadline
            page.get_by_role("button", name="Load again").click()
        else:
            return


def test_loading_again_shows_cache_hits(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Load again").click()
    page.locator(f"{SHOWN}[data-outcome=cache]").first.wait_for()


def test_a_picture_asked_for_twice_is_a_hit_with_the_same_bytes(shop: str) -> None:
    url = f"{shop}/rumba/rumba_red_volt_front.jpg"
    first, second = _get(url), _get(url)
    deadline = time.monotonic() + PATIENCE_S
    while "hit" not in second.headers["cache-status"]:  # What stands in for a late region.
        assert time.monotonic() < deadline
        first, second = second, _get(url)
    assert second.content == first.content


def test_ctrl_c_leaves_no_process_and_a_second_start_works_at_once(tmp_path: Path) -> None:
    port = neighbouring_ports()
    for _ in range(2):
        with up(tmp_path / "var", port) as process:
            assert _get(f"http://localhost:{port}/").status_code == 200
        assert process.returncode == 0
        assert not _listening(port)


def test_a_part_that_dies_is_told_in_the_terminal(tmp_path: Path) -> None:
    with up(tmp_path / "var", neighbouring_ports()) as process:
        parts = f"/proc/{process.pid}/task/{process.pid}/children"
        for part in map(int, Path(parts).read_text().split()):
            if b"regional_gpu" in Path(f"/proc/{part}/cmdline").read_bytes():
                os.kill(part, signal.SIGKILL)
        assert process.stdout is not None
        told = process.stdout.readline()
    assert told.startswith("region was killed by signal 9")
    assert str(tmp_path / "var" / "log" / "region.log") in told


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    port = neighbouring_ports()
    with socket.socket() as holder:
        holder.bind((HOST, port))
        holder.listen()
        command = [sys.executable, "-m", "deploy", "up", "--port", str(port)]
        ended = subprocess.run(
            [*command, "--state", str(tmp_path / "var")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"port {port} (edge) is in use" in ended.stderr
    assert not (tmp_path / "var").exists()


def test_every_story_can_fail() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "deploy", "up", "--break", "all"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    last = json.loads(ended.stdout.splitlines()[-1])
    assert last == {"stories": len(STORIES), "failed": len(STORIES)}
    assert ended.returncode == 1


def _get(url: str) -> httpx2.Response:
    return httpx2.get(url, headers={"accept": "image/jpeg"}, timeout=PATIENCE_S)


def _listening(first: int) -> list[int]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = []
        for port in range(first, first + _PORTS):
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    found.append(port)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
