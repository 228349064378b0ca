"""The origin's commands; ``./rehydrate`` mounts them beside those of the whole system.

Heavy imports are inside the commands, so that ``--help`` answers at once.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from origin.cli_analysis import register as add_analysis
from origin.cli_console import console as operators
from origin.cli_errors import OneLineErrors
from origin.cli_model import model, range_
from origin.cli_options import ByOption, GalleryOption, PropertyOption, StateOption
from origin.cli_qa import qa
from origin.cli_sync import confirm_publishing, confirm_revoking, sync

if TYPE_CHECKING:
    from origin.workplace import Workplace

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(operators, name="console", help="The operators' pages, and their worker.")
app.add_typer(qa, name="qa", help="Look at candidates; approve or reject them.")
app.add_typer(model, name="model", help="A family's models: the next one, and the end of one.")
app.add_typer(sync, name="sync", help="Regions: admit them, see where they are, compare.")
app.add_typer(range_, name="range", help="Approve spans of a continuous attribute by a sample.")
console = Console()
add_analysis(app)


@app.command(cls=OneLineErrors)
def serve() -> None:
    """Run the origin: originals, models and the shop (settings: ORIGIN_*)."""
    from origin.server import serve as run
    from origin.settings import read_settings

    run(read_settings())


@app.command("try", cls=OneLineErrors)
def try_(
    folder: Annotated[Path, typer.Argument(help="Pictures of one size; a manifest is not needed.")],
    out: Annotated[Path, typer.Option(help="The contact sheet.")] = Path("rehydrate-try.html"),
    images_a_month: Annotated[float, typer.Option(min=1, help="Traffic to reckon with.")] = 1e6,
    dollars_per_gb: Annotated[float, typer.Option(min=0, help="The middle mile's price.")] = 0.05,
    dollars_per_hour: Annotated[
        float | None, typer.Option(min=0, help="This machine's: $0.02 a core, $3 with a GPU.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.5, help="Answer within this.")] = 5.0,
) -> None:
    """Say whether a folder of pictures is a family worth regenerating, and show it."""
    from origin.try_command import machine_price, try_folder
    from origin.try_money import Prices

    price = machine_price() if dollars_per_hour is None else dollars_per_hour
    prices = Prices(images_a_month, dollars_per_gb, price)
    try_folder(folder, out, prices=prices, minutes=minutes, console=console)


@app.command(cls=OneLineErrors)
def train(
    gallery: GalleryOption,
    out: Annotated[Path, typer.Option(help="The model's folder; an old one is replaced.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="At most this long.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Same seed, same model.")] = 0,
    by_seed: Annotated[
        bool, typer.Option("--by-seed", help="Of shots: a denoiser finds each by its seed.")
    ] = False,
) -> None:
    """Train a family's generator on its gallery."""
    from origin.training.command import train_command

    train_command(gallery, out, minutes=minutes, seed=seed, by_seed=by_seed, console=console)


@app.command(cls=OneLineErrors)
def dehydrate(
    gallery: GalleryOption,
    model: Annotated[Path, typer.Option(help="The trained model's folder.")],
    property: PropertyOption = "rumba",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds to try for each asset.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the sampler.")] = 1,
    only: Annotated[str, typer.Option(help="Only assets whose name matches this pattern.")] = "*",
    resume: Annotated[bool, typer.Option(help="Skip what is done already.")] = True,
    min_score: Annotated[float, typer.Option(help="Least SSIMULACRA2 to propose.")] = 80.0,
    origin_url: Annotated[str | None, typer.Option(help="Check this origin's headers.")] = None,
    state: StateOption = None,
) -> None:
    """Find a recipe for each asset and propose it for approval."""
    from origin.dehydrate import Effort
    from origin.dehydrate_command import dehydrate_with_progress
    from origin.workplace import open_workplace

    effort = Effort(seeds=seeds, min_score=min_score, steps=steps)
    with open_workplace(property, state) as place:
        dehydrate_with_progress(
            console, place, gallery, model, effort, only=only, resume=resume, origin_url=origin_url
        )


@app.command(cls=OneLineErrors)
def publish(
    property: PropertyOption = "rumba",
    approved: Annotated[
        Path | None, typer.Option(help="Approvals to take over where this machine agrees.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A model's folder, of the approvals or to be approved by.")
    ] = None,
    json_line: Annotated[bool, typer.Option("--json", help="End with a line of JSON.")] = False,
    state: StateOption = None,
) -> None:
    """Sign what was approved, write it to the log and wait until every region has it."""
    from origin.publish import Publisher
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        publisher = Publisher(
            place.site, place.database, place.models, place.key, place.settings.approval_days
        )
        refused: dict[str, str] = {}
        if approved is not None:
            refused = _take_over(place, publisher, approved, model)
        elif model is not None:
            publisher.add_model(model, _family_of(place))
        outcome = publisher.publish()
        refused |= outcome.refused
        for path, reason in refused.items():
            typer.echo(f"not published: {path}: {reason}")
        typer.echo(
            f"{len(outcome.signed)} signed, {outcome.already} were published before, "
            f"{len(refused)} refused"
        )
        confirm_publishing(place)
        _tell_new_models(place)
    if json_line:
        counts = {"published": len(outcome.signed), "refused": len(refused)}
        typer.echo(json.dumps({**counts, "already": outcome.already}))


@app.command(cls=OneLineErrors)
def revoke(
    paths: Annotated[list[str] | None, typer.Argument(help="URL paths, or patterns.")] = None,
    property: PropertyOption = "rumba",
    family: Annotated[str | None, typer.Option(help="Every asset of this family.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every asset of the property.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "no reason given",
    by: ByOption = None,
    state: StateOption = None,
) -> None:
    """Take records back: tombstones to the log, until every region's store and caches have dropped
    them."""
    from origin.qa import this_user
    from origin.revoke import revoke as bury
    from origin.workplace import open_workplace

    if sum((bool(paths), family is not None, all_)) != 1:
        raise typer.BadParameter("name PATHs, or --family, or --all")
    with open_workplace(property, state) as place:
        revoked = bury(
            place.database,
            place.site,
            place.key,
            patterns=["*"] if all_ else paths or [],
            family=family,
            by=by or this_user(),
            reason=reason,
        )
        typer.echo(f"{len(revoked.now)} revoked, {len(revoked.before)} had been revoked before")
        confirm_revoking(place, revoked)


def _family_of(place: "Workplace") -> str:
    from kvsync.errors import InputError
    from origin.catalogue import read_catalogue

    property = place.site.id
    if property not in place.settings.galleries:
        raise InputError(
            f"--model needs the family's manifest: name it in ORIGIN_GALLERIES for {property}"
        )
    return read_catalogue(place.settings.galleries[property]).family


def _take_over(
    place: "Workplace", publisher: Any, approved: Path, model: Path | None
) -> dict[str, str]:
    from kvsync.errors import InputError
    from origin.approved import read_approved
    from origin.verify import take_over

    entries = read_approved(approved)
    if model is None:
        raise InputError("--approved needs the --model that the approvals are of")
    if not entries:
        return {}

    def told(done: int, total: int) -> None:
        if done == total or done % 40 == 0:
            typer.echo(f"generated {done} of {total}")

    refused = take_over(place.database, place.site, entries, model, told)
    publisher.add_model(model, entries[0].family)
    typer.echo(f"{len(entries) - len(refused)} of {len(entries)} approvals hold on this machine")
    return refused


def _tell_new_models(place: "Workplace") -> None:
    from origin.model_life import minutes_to_live

    for digest, minutes in minutes_to_live(place.database, place.site.id, time.time()).items():
        typer.echo(f"model {digest.hex()[:8]} is live, {minutes:.1f} minutes after its pictures")
