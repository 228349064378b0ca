"""``python -m edge``: one edge, set up by ``EDGE_*`` variables."""

import logging
import sys

import uvloop

from edge.server import serve
from edge.settings import read_settings
from edge.workers import supervise, work
from kvsync.errors import InputError


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings()
        if sys.argv[1:2] == ["--worker"]:
            uvloop.run(work(settings, sys.argv[2]))
        else:
            uvloop.run(supervise(settings) if settings.workers > 1 else serve(settings))
    except InputError as error:
        print(f"edge: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
