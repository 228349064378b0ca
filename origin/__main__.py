"""``python -m origin``: the service, or, with a command, what ``./rehydrate`` has too."""

import sys

from origin.cli import app

app(sys.argv[1:] or ["serve"])
