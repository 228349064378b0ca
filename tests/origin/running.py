"""Services on a port, for the length of a block."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import uvicorn
from starlette.types import ASGIApp

from origin.service import create_app
from origin.settings import read_settings


@contextmanager
def served(app: ASGIApp, port: int) -> Iterator[None]:
    """An application on a port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended before it began: is its port taken?"
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def running_origin(port: int) -> Iterator[httpx2.Client]:
    """A client of the service, which is told what the environment says."""
    with (
        served(create_app(read_settings()), port),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        yield client
