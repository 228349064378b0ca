"""The origin's process: the application on a socket."""

import socket

import uvicorn

from kvsync.errors import InputError
from origin.service import create_app
from origin.settings import OriginSettings


def serve(settings: OriginSettings) -> None:
    """Serve until told to stop; :class:`InputError` for a busy port or a setting that is wrong."""
    with _listen(settings.host, settings.port) as listener:
        config = uvicorn.Config(
            create_app(settings),
            access_log=False,
            log_level="warning",
            # The same headers from a region and from here, so that nobody can tell them apart.
            server_header=False,
            lifespan="on",
        )
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise InputError(
            f"{host}:{port}: cannot listen there: {error.strerror}; "
            "stop what does, or set ORIGIN_PORT"
        ) from error
