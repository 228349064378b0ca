"""``python -m edge``: one edge worker, set up by ``EDGE_*`` variables."""

import logging
import sys

import uvloop

from edge.server import serve
from edge.settings import read_settings
from kvsync.errors import InputError


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        uvloop.run(serve(read_settings()))
    except InputError as error:
        print(f"edge: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
