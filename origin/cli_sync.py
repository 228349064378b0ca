"""``./rehydrate sync``: admit regions, see where they are, prove that they have everything."""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from kvsync.errors import InputError, Unavailable
from origin.cli_errors import OneLineErrors
from origin.cli_options import PropertyOption, StateOption

if TYPE_CHECKING:
    from kvsync.replica import ReplicaReport
    from origin.revoke import Revoked
    from origin.sync.confirm import Standing
    from origin.sync.reports import Heard
    from origin.workplace import Workplace

sync = typer.Typer(no_args_is_help=True)


@sync.command(cls=OneLineErrors)
def admit(
    region: Annotated[str, typer.Argument(help="The region's name.")],
    property: Annotated[
        list[str], typer.Option("--property", help="What it serves; may be given again.")
    ],
    state: StateOption = None,
) -> None:
    """Let a region read the logs of its properties; prints its token, once."""
    from kvsync.property import read_properties
    from origin.settings import read_settings
    from origin.sync.tokens import admit as admit_region

    settings = read_settings() if state is None else read_settings().kept_in(state)
    known = read_properties(settings.properties_dir)
    if unknown := sorted(set(property) - known.keys()):
        raise InputError(f"no property {unknown[0]!r}; there is {', '.join(sorted(known))}")
    typer.echo(admit_region(settings.region_tokens, region, property))


@sync.command(cls=OneLineErrors)
def dismiss(
    region: Annotated[str, typer.Argument(help="The region's name.")], state: StateOption = None
) -> None:
    """End a region's token: nobody waits for it any more; it stops once its bound has passed."""
    from origin.settings import read_settings
    from origin.sync.tokens import dismiss as dismiss_region

    settings = read_settings() if state is None else read_settings().kept_in(state)
    dismiss_region(settings.region_tokens, region)
    typer.echo(f"region {region}: its token is worth nothing from now on")


@sync.command(cls=OneLineErrors)
def status(
    property: PropertyOption = "rumba",
    json_line: Annotated[bool, typer.Option("--json", help="One JSON object instead.")] = False,
    state: StateOption = None,
) -> None:
    """Show where the log is, and every region: cursor, lag, records, last repair."""
    from msgspec import to_builtins

    from origin.sync.command import status as ask
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        found = ask(place)
    if json_line:
        regions = {name: to_builtins(one) for name, one in found.regions.items()}
        typer.echo(
            json.dumps(
                {
                    "property": property,
                    "given": found.given,
                    "sealed": found.sealed,
                    "records": found.records,
                    "regions": regions,
                }
            )
        )
        return
    typer.echo(
        f"{property}: {found.given} changes, {found.sealed} in the log, "
        f"{found.records} records in force"
    )
    for name, heard in found.regions.items():
        typer.echo(f"{name}: {_told(heard, found.sealed, time.time() * 1_000)}")


@sync.command(cls=OneLineErrors)
def verify(
    property: PropertyOption = "rumba",
    wait_s: Annotated[float, typer.Option(min=0, help="How long regions may take.")] = 60.0,
    state: StateOption = None,
) -> None:
    """Compare every region with what was published; exit code 1 unless all are the same.

    What differs is named, and repaired by the region.
    """
    from origin.sync.command import verify as compare
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        found = compare(place, timeout_s=wait_s)
        if not found:
            raise InputError("no region was admitted; see ./rehydrate sync admit --help")
        wrong = [one for one in found if not _tell_compared(place, one)]
    if wrong:
        raise Unavailable(f"{len(wrong)} of {len(found)} regions are not in sync, or did not say")


@sync.command(cls=OneLineErrors)
def snapshot(property: PropertyOption = "rumba", state: StateOption = None) -> None:
    """Make a snapshot now, for regions that begin with nothing."""
    from origin.settings import open_snapshots
    from origin.sync.snapshots import Snapshots
    from origin.workplace import open_workplace

    with open_workplace(property, state) as place:
        bucket = open_snapshots(place.settings)
        made = Snapshots(place.database, bucket, place.key).make(property)
    size = sum(piece.size for piece in made.pieces)
    typer.echo(f"{made.records} records at {made.seq}: {len(made.pieces)} pieces, {size} bytes")


def confirm_publishing(place: "Workplace") -> None:
    """Wait for the regions and print what each says.

    :class:`Unavailable` if one that can be heard does not have everything in time.
    """
    from origin.sync.command import confirm_published

    found = confirm_published(place)
    _tell(found, "its log brings it there when it is back")
    if not found:
        typer.echo("no region was admitted; see ./rehydrate sync admit --help")
    late = [one for one in found if not one.confirmed and _is_heard(one)]
    if late:
        raise Unavailable(f"{len(late)} of {len(found)} regions did not confirm in time")


def confirm_revoking(place: "Workplace", revoked: "Revoked") -> None:
    """Wait for the regions and print what each says, and until when who did not may serve.

    :class:`Unavailable` if any did not confirm.
    """
    from origin.sync.command import confirm_revoked, may_serve_until

    until = may_serve_until(place, revoked.at)
    found = confirm_revoked(place, revoked.seq)
    _tell(found, f"may rehydrate it until {until:%Y-%m-%d %H:%M:%S} UTC")
    missing = sum(not one.confirmed for one in found)
    if missing:
        raise Unavailable(f"{missing} of {len(found)} regions did not confirm")


def _tell(found: "list[Standing]", otherwise: str) -> None:
    for one in found:
        if one.confirmed:
            typer.echo(f"region {one.region}: confirmed: {one.detail}")
        else:
            typer.echo(f"region {one.region}: NOT confirmed: {one.detail}; {otherwise}")


def _tell_compared(place: "Workplace", one: "Standing") -> bool:
    """Print one region's comparison; whether it is in sync."""
    from origin.sync.command import paths_of

    if not one.confirmed or one.heard is None:
        typer.echo(f"region {one.region}: did not compare: {one.detail}")
        return False
    report = one.heard.report
    if not report.differing_count:
        typer.echo(f"region {one.region}: in sync at {report.seq}, {report.records} records")
        return True
    typer.echo(f"region {one.region}: {report.differing_count} keys differed at {report.seq}")
    paths = paths_of(place, list(report.differing))
    for key in report.differing:
        typer.echo(f"  {key} {paths.get(key, 'of no known asset')}")
    return False


def _is_heard(one: "Standing") -> bool:
    return one.heard is not None and one.heard.is_recent(int(time.time() * 1_000))


def _told(heard: "Heard | None", sealed: int, now_ms: float) -> str:
    """A region's last word, in words."""
    if heard is None:
        return "never heard of"
    report = heard.report
    waiting = report.seq - report.readable_seq
    facts = [
        f"heard {_ago(heard.at_ms, now_ms)}",
        f"at {report.seq}, {sealed - report.seq} behind",
        f"renewed {_ago(report.renewed_at_ms, now_ms)}, lag {report.lag_ms} ms",
        f"{report.records} records",
        f"{waiting} wait for their model" if waiting else "",
        f"not purged: {', '.join(report.unpurged)}" if report.unpurged else "",
        f"compared {_ago(report.compared_at_ms, now_ms)}, {report.differing_count} differed",
        f"repaired {_ago(report.repaired_at_ms, now_ms)}",
        _of_replica(report.replica),
        *(f"refused {count} {name}" for name, count in sorted(report.refused.items())),
    ]
    return "; ".join(fact for fact in facts if fact)


def _of_replica(kept: "ReplicaReport | None") -> str:
    """What a region keeps of the originals, where it keeps or misses any."""
    if kept is None or not (kept.originals or kept.fault):
        return ""
    missing = f", {kept.missing} still to come" if kept.missing else ""
    fault = f" ({kept.fault})" if kept.fault else ""
    return f"replica of {kept.originals} originals, {kept.bytes} bytes{missing}{fault}"


def _ago(at_ms: int, now_ms: float) -> str:
    return f"{max(0.0, now_ms - at_ms) / 1_000:.0f} s ago" if at_ms else "never"
