"""The origin's process: the application on a socket."""

import socket

import uvicorn

from kvsync.errors import InputError
from origin.service import create_app
from origin.settings import OriginSettings

_GRACE_S = 2


def serve(settings: OriginSettings) -> None:
    """Serve until told to stop; :class:`InputError` for a busy port or a setting that is wrong."""
    with listen(settings.host, settings.port, "ORIGIN_PORT") as listener:
        config = uvicorn.Config(
            create_app(settings),
            access_log=False,
            log_level="warning",
            # The same headers from a region and from here, so that nobody can tell them apart.
            server_header=False,
            lifespan="on",
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            # A region that waits for the log has nothing to lose.
            timeout_graceful_shutdown=_GRACE_S,
        )
        uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; :class:`InputError` names the ``setting`` where the port is taken."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise InputError(
            f"{host}:{port}: cannot listen there: {error.strerror}; "
            f"stop what does, or set {setting}"
        ) from error
