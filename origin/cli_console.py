"""``./rehydrate console``: the operators' pages, and the worker that makes their candidates."""

from contextlib import closing
from typing import Annotated

import typer

from origin.cli_errors import OneLineErrors
from origin.cli_options import StateOption

console = typer.Typer(no_args_is_help=True)


@console.command(cls=OneLineErrors)
def serve() -> None:
    """Run the pages (settings: CONSOLE_*, and the origin's ORIGIN_*)."""
    from origin.console.serving import serve_console
    from origin.console.settings import read_console_settings
    from origin.settings import read_settings

    serve_console(read_settings(), read_console_settings())


@console.command(cls=OneLineErrors)
def worker() -> None:
    """Run the worker that makes candidates for prompt sets."""
    from origin.console.desk import open_desk
    from origin.console.settings import read_console_settings
    from origin.console.worker import work
    from origin.settings import read_settings

    with open_desk(read_settings(), read_console_settings()) as desk:
        work(desk)


@console.command(cls=OneLineErrors)
def password(
    name: Annotated[str, typer.Argument(help="The account's name.")], state: StateOption = None
) -> None:
    """Give an account a new one-time password, for somebody who lost theirs."""
    from origin.console.accounts import one_time_password
    from origin.database import Database
    from origin.settings import read_settings

    settings = read_settings() if state is None else read_settings().kept_in(state)
    with closing(Database(settings.database_url)) as database:
        typer.echo(f"{name} may log in once with {one_time_password(database, name)}")
