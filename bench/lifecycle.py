"""A new colour, from uploaded images to live records, while shoppers keep asking.

The gallery is published without one value of one attribute; then its images are "uploaded", the
family's next model is trained beside the live one, approvals are carried, the new images are
approved (at once: a person's time is not in the figure) and published, and the old model retires.
The whole system runs meanwhile, its caches emptied over and over, and every answer is counted.

What has to be live before is kept in `var/lifecycle` with ``--full``, until its figures are
printed: an interrupted run goes on from there. The upload itself is walked in one go, on a copy.
"""

import asyncio
import json
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console

from deploy.layout import ROOT, SAMPLE, Ports, State
from deploy.parts import PROPERTY, operator
from deploy.sample import some_of_gallery
from deploy.system import LinkShape, System
from kvsync.errors import InputError
from origin.gallery import read_gallery
from origin.training.stages import content_key
from regional_gpu.generator.model_folder import describe

WORK = ROOT / "var" / "lifecycle"
BY = "Bench"
# Values of each attribute that a walk has, unless it has all.
KEPT = 4
FORMATS = ("image/jpeg", "image/webp", "image/avif")
PURGE_EVERY_S = 1.0
ASK_EVERY_S = 0.1
AFTERWARDS_S = 5.0


@dataclass(frozen=True)
class GalleryState(State):
    """State of a system whose one property is another gallery."""

    gallery: Path = SAMPLE
    pictures: str = "gallery"

    def origin_environment(self) -> dict[str, str]:
        return {
            **super().origin_environment(),
            "ORIGIN_DAM": f"{PROPERTY}=folder:{(self.gallery / self.pictures).absolute()}",
            "ORIGIN_GALLERIES": f"{PROPERTY}={self.gallery.absolute()}",
        }


@dataclass
class Shopping:
    """Steady requests of pictures that are live, and what became of each."""

    system: System
    paths: Sequence[str]
    seen: Counter[str] = field(default_factory=Counter)
    unserved: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Until cancelled: one request after another, caches emptied every second."""
        purged = 0.0
        async with httpx2.AsyncClient(
            base_url=f"http://localhost:{self.system.ports.regions[0].edge}", timeout=30
        ) as client:
            for turn in range(sys.maxsize):
                if time.monotonic() - purged > PURGE_EVERY_S:
                    await self._empty_caches(client)
                    purged = time.monotonic()
                path = self.paths[turn % len(self.paths)]
                await self._ask(client, path, FORMATS[turn % len(FORMATS)])
                await asyncio.sleep(ASK_EVERY_S)

    async def _ask(self, client: httpx2.AsyncClient, path: str, accept: str) -> None:
        try:
            answer = await client.get(path, headers={"accept": accept})
        except httpx2.HTTPError as error:
            self.unserved.append(f"{path}: {error or type(error).__name__}")
            return
        if answer.status_code != 200 or not answer.content:
            self.unserved.append(f"{path}: {answer.status_code}")
        self.seen[outcome(answer)] += 1

    async def _empty_caches(self, client: httpx2.AsyncClient) -> None:
        own = self.system.ports.regions[0]
        for port in (own.region, own.edge_admin):
            await client.post(f"{System.url(port)}/v1/purge", content=b'{"everything": true}')


def outcome(answer: httpx2.Response) -> str:
    """How the body was made, also that of a hit: ``rehydrated``, or ``origin`` with its reason."""
    status = answer.headers.get("cache-status", "")
    found = re.search(r'detail="?([a-z0-9:-]+)', status)
    return found[1] if found else status or "none"


def run(
    full: bool = False,
    gallery: Annotated[Path, typer.Option(help="Folder with a manifest.json.")] = SAMPLE,
    attribute: Annotated[str, typer.Option(help="The attribute that gets a value more.")] = "lace",
    value: Annotated[str, typer.Option(help="Which; by default its last.")] = "",
    minutes: Annotated[float, typer.Option(help="At most this long for each training.")] = 5.0,
) -> dict[str, object]:
    """Walk it with four values of each attribute; the whole gallery is walked with `full`."""
    upload = split(gallery, attribute, value, None if full else KEPT)
    with tempfile.TemporaryDirectory() as scratch:
        kept = WORK / content_key(read_gallery(gallery), attribute, upload.value)
        folder = kept if full else Path(scratch)
        some_of_gallery(gallery, upload.live, folder / "before")
        after = some_of_gallery(gallery, upload.live + upload.fresh, folder / "after")
        pictures = min(str(PurePosixPath(one["file"]).parent) for one in after["assets"])
        figures = asyncio.run(walk(upload, folder, pictures, minutes))
    if full:
        shutil.rmtree(kept)
    return figures


@dataclass(frozen=True)
class Upload:
    """File names of a gallery's images: those that are live, and those of one more value."""

    value: str
    live: tuple[str, ...]
    fresh: tuple[str, ...]


def split(gallery: Path, attribute: str, value: str, most: int | None) -> Upload:
    """``gallery`` without one value of ``attribute`` and with it, by default the last one.

    ``most``: how many of the other values stay, and of each other attribute's values. Raises
    :class:`InputError` for an attribute or value that the gallery does not have.
    """
    manifest: dict[str, Any] = json.loads((gallery / "manifest.json").read_text())
    found: dict[str, set[str]] = {}
    for one in manifest["assets"]:
        for name, shown in one["attributes"].items():
            found.setdefault(name, set()).add(str(shown))
    values = sorted(found.get(attribute, ()))
    value = value or (values[-1] if values else "")
    if value not in values or len(values) < 3:
        raise InputError(f"{gallery}: no {attribute} of {value!r} beside two others")
    staying = {name: set(sorted(known)[:most]) for name, known in found.items()}
    others = [one for one in values if one != value][:most]
    staying[attribute] = {value, *others}
    after = [
        one
        for one in manifest["assets"]
        if all(str(shown) in staying[name] for name, shown in one["attributes"].items())
    ]
    fresh = [one for one in after if str(one["attributes"][attribute]) == value]
    live = [one for one in after if one not in fresh]
    return Upload(value, _names(live), _names(fresh))


def _names(assets: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(PurePosixPath(one["file"]).name for one in assets)


async def walk(upload: Upload, folder: Path, pictures: str, minutes: float) -> dict[str, object]:
    """The figures of one walk; every command is the operators' own. ``folder`` has the galleries
    ``before`` and ``after``, whose images lie in ``pictures``."""
    limit = ("--minutes", f"{minutes:g}", "--min-score", "0")

    def system_in(name: str) -> System:
        state = GalleryState(folder / name, folder / "after", pictures)
        return System(state, Ports.free(), [LinkShape()])

    if not (folder / "live").is_dir():
        with system_in("going-live").started() as system:
            await system.wait_ready()
            await _go_live(system, folder, limit)
        (folder / "going-live").rename(folder / "live")
    for leavings in ("walked", "second"):
        shutil.rmtree(folder / leavings, ignore_errors=True)
    shutil.copytree(folder / "live", folder / "walked", ignore=_no_files)
    with system_in("walked").started() as system:
        await system.wait_ready()
        return await _upload(system, upload, folder, limit)


async def _upload(
    system: System, upload: Upload, folder: Path, limit: Sequence[str]
) -> dict[str, object]:
    shopping = Shopping(system, [_url(name) for name in upload.live])
    asking = asyncio.create_task(shopping.run())
    began = time.monotonic()
    options = ("--gallery", str(folder / "after"), "--out", str(folder / "second"))
    told = await _command(system, "model", "update", *options, *limit)
    update_s = time.monotonic() - began
    await _command(system, "qa", "approve", "--all", "--by", BY)
    await _command(system, "publish")
    took = time.monotonic() - began
    live = await _rehydrated(system, [_url(name) for name in upload.fresh])
    await _command(system, "model", "retire", describe(folder / "first").digest.hex())
    await asyncio.sleep(AFTERWARDS_S)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    carried, asked = (int(one) for one in re.findall(r"(\d+) of (\d+) approvals carried", told)[0])
    figures: dict[str, object] = {
        "images": len(upload.live) + len(upload.fresh),
        "new_images": len(upload.fresh),
        "minutes_to_live": round(took / 60, 2),
        "minutes_to_proposals": round(update_s / 60, 2),
        "carried": carried,
        "need_approval_again": asked - carried,
        "new_rehydrated": live,
        "requests": sum(shopping.seen.values()) + len(shopping.unserved),
        "unserved": len(shopping.unserved),
        "outcomes": dict(shopping.seen),
    }
    Console().print(told.strip(), shopping.unserved[:5], figures, highlight=False, sep="\n")
    return figures


async def _go_live(system: System, folder: Path, limit: Sequence[str]) -> None:
    """The first model, its records approved and published; again, from where it was ended."""
    gallery, model = ("--gallery", str(folder / "before")), folder / "first"
    if not model.is_dir():
        await _command(system, "train", *gallery, "--out", str(model), *limit[:2])
    await _command(system, "dehydrate", *gallery, "--model", str(model), *limit[2:])
    await _command(system, "qa", "approve", "--all", "--by", BY)
    await _command(system, "publish")


def _no_files(folder: str, names: list[str]) -> list[str]:
    """Sockets and the like, which cannot be copied."""
    paths = [(name, Path(folder) / name) for name in names]
    return [name for name, path in paths if not (path.is_file() or path.is_dir())]


async def _command(system: System, *words: str) -> str:
    """Run an operator's command against the system; what it printed, in one piece."""
    Console().print(f"./rehydrate {' '.join(words)}", style="dim", highlight=False)
    environment = {**system.origin_environment(), "COLUMNS": "200"}
    return "\n".join(await operator(environment, *words))


def _url(name: str) -> str:
    return f"/{PROPERTY}/{name}"


async def _rehydrated(system: System, paths: Sequence[str]) -> int:
    """How many of these the edge has from the region now."""
    found = 0
    async with httpx2.AsyncClient(
        base_url=f"http://localhost:{system.ports.regions[0].edge}", timeout=30
    ) as client:
        for path in paths:
            answer = await client.get(path, headers={"accept": "image/jpeg"})
            found += answer.status_code == 200 and outcome(answer) == "rehydrated"
    return found


if __name__ == "__main__":
    typer.run(run)
