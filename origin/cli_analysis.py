"""``./rehydrate analyse`` and ``./rehydrate take``: the hit list, and a family taken from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from origin.cli_errors import OneLineErrors
from origin.cli_options import StateOption

if TYPE_CHECKING:
    from origin.database import Database

console = Console()

ListOption = Annotated[
    Path,
    typer.Option("--into", envvar="CONSOLE_ANALYSIS", help="Folder of the inventory and the list."),
]
INTO = Path("var/analysis")


def analyse(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH_OR_BUCKET...",
            help="Folders, s3://bucket/prefix, or S3 Inventory files; CUSTOMER=PLACE for several.",
        ),
    ],
    logs: Annotated[
        list[str] | None,
        typer.Option(help="Access logs, gzip or zstd too; CUSTOMER=FILE for one customer's."),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Where there are no logs, ask our own ledger.")
    ] = False,
    share: Annotated[
        list[str] | None,
        typer.Option(help="Customers who agreed to be compared with one another."),
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="URL path of the places' roots.")] = None,
    bytes_from: Annotated[
        str | None, typer.Option(help="Where the images of an S3 Inventory lie.")
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Of an S3 that is not Amazon's.")] = None,
    network: Annotated[
        Path | None,
        typer.Option(help="Folder of a feature network, as transformers writes it."),
    ] = None,
    prices: Annotated[str, typer.Option(help="A shipped price book, or a .toml file.")] = "seed",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Families to print.")] = 20,
    csv: Annotated[Path | None, typer.Option(help="Write the whole list as CSV.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the whole list as JSON.")] = None,
    into: ListOption = INTO,
) -> None:
    """List what is worth rehydrating in whole inventories, best first, with why and why not."""
    from kvsync.files import write_file
    from origin.analysis.command import Wanted, analyse
    from origin.analysis.report import as_csv, as_json, print_list

    wanted = Wanted(
        places=_by_customer(places),
        logs=tuple(_of_log(log) for log in logs or ()),
        together=tuple(share or ()),
        prefix=prefix,
        bytes_from=bytes_from,
        endpoint_url=endpoint_url,
        prices=prices,
        workers=workers,
        network=network,
        ledger=_our_ledger() if ledger else None,
    )
    found = analyse(wanted, into, console)
    print_list(found, console, most)
    if csv is not None:
        write_file(csv, as_csv(found).encode())
    if json is not None:
        write_file(json, as_json(found))


def take(
    id: Annotated[str, typer.Argument(help="The family's id in the hit list.")],
    out: Annotated[Path, typer.Option(help="Folder for its gallery; the model lies in it.")],
    property: Annotated[
        str | None, typer.Option("--property", help="The property's id; the customer's by default.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Train at most this long.")] = 20.0,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds to try for each asset.")] = 8,
    min_score: Annotated[float, typer.Option(help="Least SSIMULACRA2 to propose.")] = 80.0,
    into: ListOption = INTO,
    state: StateOption = None,
) -> None:
    """Take a family from the hit list: write its gallery, train it, propose its records."""
    from origin.analysis.taking import take_into_qa

    take_into_qa(
        id,
        into,
        out,
        property=property,
        minutes=minutes,
        seeds=seeds,
        min_score=min_score,
        state=state,
        console=console,
    )


def _our_ledger() -> "Database":
    from origin.database import Database
    from origin.settings import read_settings

    return Database(read_settings().database_url)


def _by_customer(places: list[str]) -> dict[str, str]:
    """InputError where two places would be one customer's: the second would replace the first."""
    from kvsync.errors import InputError

    named: dict[str, str] = {}
    for place in places:
        customer, where = _of_customer(place)
        if customer in named:
            raise InputError(f"{place}: {customer!r} has a place already; write CUSTOMER=PLACE")
        named[customer] = where
    return named


def _of_customer(place: str) -> tuple[str, str]:
    customer, given, where = place.partition("=")
    if given and "/" not in customer:
        return customer, where
    named = place.removeprefix("s3://").partition("/")[0] if "://" in place else Path(place).stem
    return named or "here", place


def _of_log(log: str) -> tuple[str, Path]:
    customer, given, path = log.partition("=")
    return (customer, Path(path)) if given and "/" not in customer else ("", Path(log))


def register(app: typer.Typer) -> None:
    """Add these commands to the origin's."""
    app.command(cls=OneLineErrors)(analyse)
    app.command(cls=OneLineErrors)(take)
