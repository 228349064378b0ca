"""``./rehydrate qa``: where people decide. Nothing approves by itself."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from kvsync.errors import InputError
from origin.cli_errors import OneLineErrors
from origin.cli_options import PropertyOption, StateOption

if TYPE_CHECKING:
    from origin.tables import CandidateRow
    from origin.workplace import Workplace

Sort = Literal["worst", "best", "path"]

Paths = Annotated[list[str] | None, typer.Argument(help="URL paths or names, or patterns.")]
FileArgument = Annotated[Path, typer.Argument(help="A file of approvals, one JSON per line.")]

qa = typer.Typer(no_args_is_help=True)
# Into a file or a pipe, paths are not cut to a terminal's width.
console = Console(width=None if sys.stdout.isatty() else 200)


Shown = Literal["proposed", "approved", "rejected", "short", "any"]
ShowOption = Annotated[Shown, typer.Option(help="Which candidates.")]
SortOption = Annotated[Sort, typer.Option(help="In which order.")]


@qa.command("list", cls=OneLineErrors)
def list_(
    show: ShowOption = "proposed",
    sort: SortOption = "worst",
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """List candidates with their scores."""
    from origin.qa import recipe_of
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        found = _candidates(place, show, sort)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("path", "SSIMULACRA2", "ΔE", "PSNR dB", "seed", "state", "by, why"):
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in found:
        table.add_row(
            row.asset.path,
            f"{row.ssimulacra2:.1f}",
            f"{row.delta_e:.2f}",
            f"{row.psnr:.1f}",
            str(recipe_of(row).seed),
            row.state,
            " ".join(filter(None, (row.approver.name if row.approver else "", row.reason))),
        )
    console.print(table)
    console.print(f"{len(found)} candidates")


_NUMBERS = frozenset({"SSIMULACRA2", "ΔE", "PSNR dB", "seed"})


@qa.command(cls=OneLineErrors)
def approve(
    by: Annotated[str, typer.Option(help="The person who looked.")],
    paths: Paths = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything that is proposed.")] = False,
    above: Annotated[float | None, typer.Option(help="Only at or above this score.")] = None,
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Approve candidates, in a person's name."""
    from origin.qa import approve as decide
    from origin.workplace import open_workplace

    if bool(paths) == all_:
        raise typer.BadParameter("name PATHs or --all")
    with open_workplace(property, state) as place:
        done = decide(
            place.database, place.site, ["*"] if all_ else paths or [], by=by, above=above
        )
    typer.echo(f"{len(done)} approved by {by}")


@qa.command(cls=OneLineErrors)
def reject(
    paths: Annotated[list[str], typer.Argument(help="URL paths or names, or patterns.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    by: Annotated[str | None, typer.Option(help="Who; this account by default.")] = None,
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Reject candidates, with a reason."""
    from origin.qa import reject as decide
    from origin.qa import this_user
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        done = decide(place.database, place.site, paths, by=by or this_user(), reason=reason)
    typer.echo(f"{len(done)} rejected")


@qa.command(cls=OneLineErrors)
def sheet(
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
    model: Annotated[Path | None, typer.Option(help="A model's folder; else the kept one.")] = None,
    count: Annotated[int, typer.Option(min=1, max=64, help="How many candidates.")] = 12,
    show: ShowOption = "proposed",
    sort: SortOption = "worst",
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Draw original, generated and difference side by side, for a person's eyes."""
    from origin.ledger.own_work import OwnWork
    from origin.sheet import write_sheet
    from origin.workplace import open_workplace
    from regional_gpu.generator.load import load

    with open_workplace(property, state) as place:
        found = _candidates(place, show, sort)
        if not found:
            raise InputError(f"no {show} candidate to show; see ./rehydrate qa list --show any")
        generator = load(model or place.models.folder_of(found[0].model))
        chosen = [row for row in found if row.model == generator.digest][:count]
        if not chosen:
            raise InputError(f"no {show} candidate of the model in {model}")
        with OwnWork(place.database, place.site.id, chosen[0].family) as own:
            write_sheet(place.site, chosen, generator, out)
            own.made(len(chosen))
    typer.echo(f"{out}: {len(chosen)} candidates")


@qa.command("export", cls=OneLineErrors)
def export(
    file: FileArgument, property: PropertyOption = "rumba", state: StateOption = None
) -> None:
    """Write every approval to a file."""
    from origin.approved import write_approved
    from origin.qa import export_approved
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        entries = export_approved(place.database, place.site.id)
    write_approved(file, entries)
    typer.echo(f"{file}: {len(entries)} approvals")


@qa.command("import", cls=OneLineErrors)
def import_(
    file: FileArgument, property: PropertyOption = "rumba", state: StateOption = None
) -> None:
    """Take over approvals made at another origin, in their approvers' names."""
    from origin.approved import read_approved
    from origin.qa import import_approved
    from origin.workplace import open_workplace

    entries = read_approved(file)
    with open_workplace(property, state) as place:
        import_approved(place.database, place.site, entries)
    typer.echo(f"{len(entries)} approvals taken over")


def _candidates(place: "Workplace", show: Shown, sort: Sort) -> "Sequence[CandidateRow]":
    from origin.qa import list_candidates

    return list_candidates(place.database, place.site.id, None if show == "any" else show, sort)
