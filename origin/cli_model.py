"""``./rehydrate model`` and ``./rehydrate range``: the life of a model, and spans of approvals."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kvsync.errors import InputError, Unavailable
from origin.cli_errors import OneLineErrors
from origin.cli_options import GalleryOption, PropertyOption, RegionOption, StateOption

if TYPE_CHECKING:
    from origin.workplace import Workplace

model = typer.Typer(no_args_is_help=True)
range_ = typer.Typer(no_args_is_help=True)
console = Console()


@model.command("list", cls=OneLineErrors)
def list_(
    property: PropertyOption = "rumba", region: RegionOption = None, state: StateOption = None
) -> None:
    """List models: how many live records point to each, and what regions say of them."""
    import asyncio

    from origin.model_life import ask_regions, list_models
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        models = list_models(place.database, property)
        answers = asyncio.run(ask_regions(region or place.settings.regions))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("model", "family", "bytes", "state", "live", "carried", "proposed"):
        table.add_column(column)
    for one in models:
        counts = (str(count) for count in (one.live, one.carried, one.proposed))
        table.add_row(one.digest.hex()[:8], one.family, f"{one.size:,}", one.state, *counts)
    console.print(table)
    for url, said in answers.items():
        for digest, word in said.items():
            console.print(f"region {url}: {digest[:8]} {word}", highlight=False)


@model.command(cls=OneLineErrors)
def update(
    gallery: GalleryOption,
    out: Annotated[Path, typer.Option(help="Folder for the new model.")],
    trained: Annotated[
        bool, typer.Option("--trained", help="It is trained already: --out holds it.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="Train at most this long.")] = 5.0,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds to try for each new asset.")] = 8,
    min_score: Annotated[float, typer.Option(help="Least SSIMULACRA2 to propose.")] = 80.0,
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Train a family's next model beside the live one; carry approvals whose picture stayed.

    What is new, or looks otherwise now, is proposed to a person; until that is approved and
    published, everything is served as before.
    """
    from origin.workplace import open_workplace

    began = time.time()
    with open_workplace(property, state) as place:
        if not trained:
            from origin.training.command import train_command

            train_command(gallery, out, minutes=minutes, console=console)
        trained_s = time.time() - began
        carried = _carry(place, gallery, out, began)
        carried_s = time.time() - began - trained_s
        _propose(place, gallery, out, seeds, min_score)
    total = time.time() - began
    console.print(
        f"{total / 60:.1f} minutes: {trained_s / 60:.1f} to train, {carried_s / 60:.1f} to carry "
        f"{carried} approvals, {(total - trained_s - carried_s) / 60:.1f} to dehydrate the rest",
        highlight=False,
    )
    console.print("next: ./rehydrate qa list, qa approve; then ./rehydrate publish")


def _carry(place: "Workplace", gallery: Path, folder: Path, began: float) -> int:
    """Announce the new model and carry what may be carried; how many were."""
    from origin.carry import Carrier
    from origin.gallery import read_gallery
    from origin.ledger.own_work import OwnWork
    from origin.model_life import note_begun
    from origin.publish import Publisher
    from regional_gpu.generator.load import load

    family = read_gallery(gallery).family
    digest = Publisher(place.site, place.database, place.models, place.key).add_model(
        folder, family
    )
    note_begun(place.database, digest, began)
    carrier = Carrier(place.database, place.site, load(folder), place.models.folder_of)
    rows = carrier.pending(family)
    carried = 0
    with OwnWork(place.database, place.site.id, family) as own:
        for one in carrier.carry(rows):
            own.made(2)
            carried += not one.why
            if one.why:
                console.print(f"needs approval: {one.path}: {one.why}", highlight=False)
    console.print(
        f"model {digest.hex()[:8]}: {carried} of {len(rows)} approvals carried, "
        f"{len(rows) - carried} need a person",
        highlight=False,
    )
    return carried


def _propose(place: "Workplace", gallery: Path, folder: Path, seeds: int, min_score: float) -> None:
    from origin.dehydrate import Effort
    from origin.dehydrate_command import dehydrate_with_progress

    dehydrate_with_progress(
        console,
        place,
        gallery,
        folder,
        Effort(seeds=seeds, min_score=min_score),
        only="*",
        resume=True,
        origin_url=None,
    )


@model.command(cls=OneLineErrors)
def retire(
    digest: Annotated[str, typer.Argument(help="The beginning of the model's digest.")],
    delete: Annotated[bool, typer.Option(help="Remove it from the bucket too.")] = False,
    region: RegionOption = None,
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Have regions drop a model that no live record points to."""
    from origin.model_life import find_model, list_models
    from origin.model_life import retire as end
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        found = find_model(list_models(place.database, property), digest)
        regions = region or place.settings.regions
        answers = end(place.database, place.models, property, found, regions, delete=delete)
    for one in answers:
        mark = "confirmed" if one.confirmed else "NOT confirmed"
        typer.echo(f"{one.target}: {mark}: {one.detail}")
    if missing := sum(not one.confirmed for one in answers):
        raise Unavailable(f"{missing} regions did not confirm; run this again")
    where = "removed" if delete else "kept in the bucket"
    typer.echo(f"model {found.digest.hex()[:8]} retired, {where}")


@range_.command(cls=OneLineErrors)
def draw(
    attribute: Annotated[str, typer.Argument(help="A continuous attribute.")],
    low: Annotated[str, typer.Argument(help="A number, an angle or a colour (#rrggbb).")],
    high: Annotated[str, typer.Argument(help="The other end, included.")],
    family: Annotated[str, typer.Option(help="The family.")] = "rumba",
    count: Annotated[int, typer.Option(min=2, help="How many to look at.")] = 12,
    angle: Annotated[bool, typer.Option("--angle", help="Degrees; may pass through 0.")] = False,
    out: Annotated[Path | None, typer.Option(help="Draw a sheet of the sample.")] = None,
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Draw a sample of proposed candidates along a range, for a person to look at."""
    from origin.ledger.own_work import OwnWork
    from origin.ranges import Span, parse_value
    from origin.ranges import draw as draw_sample
    from origin.sheet import write_sheet
    from origin.workplace import open_workplace
    from regional_gpu.generator.load import load

    ends = parse_value(low), parse_value(high)
    if ends[0] is None or ends[1] is None or len(ends[0]) != len(ends[1]):
        raise InputError(f"{low} to {high}: two numbers, two angles or two colours (#rrggbb)")
    span = Span(ends[0], ends[1], turns=angle)
    with open_workplace(property, state) as place:
        number, sample = draw_sample(place.database, property, family, attribute, span, count=count)
        if out is not None:
            with OwnWork(place.database, property, family) as own:
                generator = load(place.models.folder_of(sample[0].model))
                write_sheet(place.site, sample, generator, out)
                own.made(len(sample))
    for one in sample:
        typer.echo(f"{one.asset.path}  SSIMULACRA2 {one.ssimulacra2:.1f}, ΔE {one.delta_e:.2f}")
    typer.echo(
        f"range {number}: look at these {len(sample)}, ./rehydrate qa approve each by name, "
        f"then ./rehydrate range approve {number} --by NAME"
    )


@range_.command(cls=OneLineErrors)
def approve(
    number: Annotated[int, typer.Argument(help="The range's number.")],
    by: Annotated[str, typer.Option(help="The person who looked at the sample.")],
    property: PropertyOption = "rumba",
    state: StateOption = None,
) -> None:
    """Approve a range whose whole sample was approved; each asset still gets its own record."""
    from origin.ranges import approve_range
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        done = approve_range(place.database, property, number, by=by)
    typer.echo(f"{len(done)} more approved by {by} within range {number}")
