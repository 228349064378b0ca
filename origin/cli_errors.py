"""How commands fail: one line, exit code 1."""

from typing import Any

import typer
from typer.core import TyperCommand

from kvsync.errors import RehydrationError


class OneLineErrors(TyperCommand):
    """The one handler of errors that are somebody's to repair: a line on stderr, exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RehydrationError as error:
            message = str(error)
            cause: Exception = error
        except OSError as error:
            if error.filename is None:
                raise
            message = f"{error.filename}: {error.strerror}"
            cause = error
        typer.echo(f"rehydrate: {message}", err=True)
        raise typer.Exit(1) from cause
