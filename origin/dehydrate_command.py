"""``./rehydrate dehydrate``: the work of :mod:`origin.dehydrate` with a bar and a summary."""

from pathlib import Path
from statistics import median

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from origin.dehydrate import Effort, Fitted, dehydrate, plan
from origin.gallery import read_gallery
from origin.ledger.own_work import OwnWork
from origin.publish import Publisher
from origin.settings import OriginSettings
from origin.workplace import Workplace
from regional_gpu.generator.load import load


def dehydrate_with_progress(
    console: Console,
    place: Workplace,
    folder: Path,
    model: Path,
    effort: Effort,
    *,
    only: str,
    resume: bool,
    origin_url: str | None,
) -> None:
    gallery = read_gallery(folder)
    origin_url = origin_url or running_origin(place.settings, console)
    total = len(plan(place.site, gallery, only))
    generator = load(model)
    publisher = Publisher(place.site, place.database, place.models, place.key)
    publisher.add_model(model, gallery.family)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    fitted: list[Fitted] = []
    own = OwnWork(place.database, place.site.id, gallery.family)
    with own, Progress(*columns, console=console) as bar:
        task = bar.add_task("dehydrating", total=total)
        for one in dehydrate(
            place.site,
            place.database,
            gallery,
            generator,
            effort,
            only=only,
            resume=resume,
            origin_url=origin_url,
        ):
            bar.advance(task)
            if one is None:
                continue
            fitted.append(one)
            own.made(one.seeds_tried)
            if one.state == "short":
                console.print(
                    f"not proposed: {one.path}: SSIMULACRA2 {one.ssimulacra2:.1f}, "
                    f"{one.verdict(effort.min_score)} of {effort.min_score:g}"
                )
    console.print(summary(fitted, total))


def running_origin(settings: OriginSettings, console: Console) -> str | None:
    """Where this origin answers; None, and a line that says so, when it does not run."""
    url = f"http://{settings.host}:{settings.port}"
    try:
        httpx2.get(f"{url}/healthz", timeout=2).raise_for_status()
    except httpx2.HTTPError:
        console.print(
            f"headers not checked: no origin answers at {url}; start it, or name one with "
            "--origin-url"
        )
        return None
    return url


def summary(fitted: list[Fitted], total: int) -> str:
    before = total - len(fitted)
    if not fitted:
        return f"all {before} had been done before"
    proposed = sum(1 for one in fitted if one.state == "proposed")
    scores = [one.ssimulacra2 for one in fitted]
    colours = [one.delta_e for one in fitted]
    return (
        f"{proposed} proposed, {len(fitted) - proposed} fell short, {before} done before; "
        f"SSIMULACRA2 median {median(scores):.1f}, worst {min(scores):.1f}; "
        f"ΔE median {median(colours):.2f}, worst {max(colours):.2f}"
    )
