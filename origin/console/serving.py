"""The console's process: pages on a socket, and the one-time password of the first start."""

import sys

import uvicorn

from kvsync.settling import settle
from origin.console.accounts import first_admin
from origin.console.app import create_app
from origin.console.desk import open_desk
from origin.console.drawing import Drawing
from origin.console.jobs import Jobs, not_here, open_queue, task_of
from origin.console.pictures import open_pictures
from origin.console.settings import ConsoleSettings
from origin.server import listen
from origin.settings import OriginSettings


def serve_console(origin: OriginSettings, settings: ConsoleSettings) -> None:
    """Serve until told to stop; :class:`kvsync.errors.InputError` for a setting that is wrong."""
    drawing = Drawing(open_pictures(settings))
    with (
        open_desk(origin, settings) as desk,
        listen(settings.host, settings.port, "CONSOLE_PORT") as listener,
    ):
        if (password := first_admin(desk.database)) is not None:
            print(
                f"first start: log in at {settings.url} as admin, once, with {password}",
                file=sys.stderr,
                flush=True,
            )
        jobs = Jobs(desk, task_of(open_queue(settings.folder), not_here))
        app = create_app(desk, jobs, drawing)
        settle()
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            server_header=False,
            # The address that a proxy in front tells, for slowing guesses down.
            forwarded_allow_ips="127.0.0.1",
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            drawing.close()
