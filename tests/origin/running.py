"""The origin's service on a port, for the length of a block."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import uvicorn

from origin.service import create_app
from origin.settings import read_settings


@contextmanager
def running_origin(port: int) -> Iterator[httpx2.Client]:
    """A client of the service, which is told what the environment says."""
    config = uvicorn.Config(create_app(read_settings()), port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended before it began: is its port taken?"
        time.sleep(0.005)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
