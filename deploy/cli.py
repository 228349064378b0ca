"""``./rehydrate``: one command that leads to everything."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.layout import ROOT, Ports, State
from deploy.system import System, links
from kvsync.errors import RehydrationError
from origin.cli import app as origin_app

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(origin_app)

StateOption = Annotated[Path | None, typer.Option("--state", help="Folder of all state (./var).")]


@app.command()
def up(
    check: Annotated[bool, typer.Option(help="Walk the stories on free ports, then stop.")] = False,
    break_: Annotated[
        str, typer.Option("--break", help="With --check: damage the system for STORY, or 'all'.")
    ] = "",
    regions: Annotated[int, typer.Option(help="How many, each with a middle mile.")] = 1,
    port: Annotated[int, typer.Option(help="The edge's port; the others follow it.")] = 8080,
    rtt_ms: Annotated[
        float | None, typer.Option(help="Round trip of the middle mile [180; every second: 90].")
    ] = None,
    mbit_s: Annotated[float, typer.Option(help="Bandwidth of the middle mile.")] = 50.0,
    link: Annotated[bool, typer.Option(help="--no-link: origin and region side by side.")] = True,
    sample: Annotated[
        bool, typer.Option(help="--no-sample: nothing is live; take it there in the console.")
    ] = True,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="With made-up shoppers, to watch the figures move.")
    ] = False,
    state: StateOption = None,
) -> None:
    """Start the whole system on this machine and show the shop."""
    shapes = links(regions, rtt_ms, mbit_s) if link else links(regions, 0.0, 0.0)
    if check or break_:
        from deploy.check.walk import check_system

        raise typer.Exit(0 if check_system(shapes, break_, Console()) else 1)
    from deploy.up import up as start

    own = State(state) if state else State()
    ports = Ports.starting_at(port, regions)
    start(System(own, ports, shapes, sample=sample, traffic=traffic), Console())


@app.command()
def reset(state: StateOption = None) -> None:
    """Remove all state: keys, records, caches, models and approvals made on this machine."""
    found = State(state) if state else State()
    typer.echo(f"removed {found.folder}" if found.remove() else f"{found.folder}: nothing there")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run the tests, on two cores; arguments go to pytest."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *context.args]
    raise typer.Exit(subprocess.call(command, cwd=ROOT))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which one; without it, their names.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as last line.")] = False,
) -> None:
    """Measure: prints ratios against a named baseline of the same run.

    Other options are the bench's own: --full for the full sizes, up to 25 minutes.
    """
    modules = pkgutil.iter_modules([str(ROOT / "bench")])
    names = [module.name for module in modules if not module.name.startswith("_")]
    if name not in names:
        typer.echo(f"benches: {', '.join(names)}", err=bool(name))
        raise typer.Exit(1 if name else 0)
    own = typer.Typer(add_completion=False)
    own.command()(importlib.import_module(f"bench.{name}").run)
    command = typer.main.get_command(own)
    result = command.main(context.args, f"rehydrate bench {name}", standalone_mode=False)
    if as_json:
        typer.echo(json.dumps(result))


@app.command()
def screenshots(
    folder: Annotated[Path, typer.Option(help="Where the pictures go.")] = ROOT
    / "var"
    / "screenshots",
) -> None:
    """Take pictures of the console's pages: light and dark, desktop and phone (needs Chromium)."""
    from deploy.screenshots import take

    typer.echo(f"{len(take(folder))} pictures in {folder}")


def main() -> None:
    for name, value in State().origin_environment().items():
        os.environ.setdefault(name, value)
    try:
        app()
    except RehydrationError as error:
        sys.exit(f"rehydrate: {error}")
