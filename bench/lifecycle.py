"""A new colour, from uploaded images to live records, while shoppers keep asking.

The gallery is published without one value of one attribute; then its images are "uploaded", the
family's next model is trained beside the live one, approvals are carried, the new images are
approved (at once: a person's time is not in the figure) and published, and the old model retires.
The whole system runs meanwhile, its caches emptied over and over, and every answer is counted.
"""

import asyncio
import json
import re
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

from deploy.layout import SAMPLE, Ports, State
from deploy.parts import PROPERTY, operator
from deploy.sample import some_of_gallery
from deploy.system import LinkShape, System
from kvsync.errors import InputError
from regional_gpu.generator.model_folder import describe

BY = "Bench"
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
    """``hit``, ``rehydrated``, or ``origin`` with its reason."""
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
    """Walk it; four of the other values are kept, or with `full` all of them."""
    with tempfile.TemporaryDirectory() as scratch:
        return asyncio.run(walk(gallery, attribute, value, minutes, Path(scratch), full=full))


async def walk(
    gallery: Path, attribute: str, value: str, minutes: float, scratch: Path, *, full: bool
) -> dict[str, object]:
    """The figures of one walk; every command is the operators' own."""
    before, after = split(gallery, attribute, value, scratch, full=full)
    parents = {PurePosixPath(one["file"]).parent for one in after["assets"]}
    state = GalleryState(scratch / "var", scratch / "after", str(min(parents)))
    system = System(state, Ports.free(), [LinkShape()])
    limit = ("--minutes", f"{minutes:g}", "--min-score", "0")
    with system.started():
        await system.wait_ready()
        await _go_live(system, scratch, limit)
        shopping = Shopping(system, [_url(one) for one in before["assets"]])
        asking = asyncio.create_task(shopping.run())
        began = time.monotonic()
        options = ("--gallery", str(scratch / "after"), "--out", str(scratch / "second"))
        told = await _command(system, "model", "update", *options, *limit)
        update_s = time.monotonic() - began
        await _command(system, "qa", "approve", "--all", "--by", BY)
        await _command(system, "publish")
        took = time.monotonic() - began
        fresh = [_url(one) for one in after["assets"] if one not in before["assets"]]
        live = await _rehydrated(system, fresh)
        await _command(system, "model", "retire", describe(scratch / "first").digest.hex())
        await asyncio.sleep(AFTERWARDS_S)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    carried, asked = (int(one) for one in re.findall(r"(\d+) of (\d+) approvals carried", told)[0])
    figures: dict[str, object] = {
        "images": len(after["assets"]),
        "new_images": len(fresh),
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


async def _go_live(system: System, scratch: Path, limit: Sequence[str]) -> None:
    """The first model, its records approved and published."""
    gallery, model = ("--gallery", str(scratch / "before")), str(scratch / "first")
    await _command(system, "train", *gallery, "--out", model, *limit[:2])
    await _command(system, "dehydrate", *gallery, "--model", model, *limit[2:])
    await _command(system, "qa", "approve", "--all", "--by", BY)
    await _command(system, "publish")


def split(
    gallery: Path, attribute: str, value: str, scratch: Path, *, full: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The gallery before and after the upload, as folders of ``scratch``; their manifests.

    Raises :class:`InputError` for an attribute or value that it does not have.
    """
    manifest: dict[str, Any] = json.loads((gallery / "manifest.json").read_text())
    values = sorted({str(one["attributes"].get(attribute)) for one in manifest["assets"]})
    value = value or values[-1]
    if value not in values or len(values) < 3:
        raise InputError(f"{gallery}: no {attribute} of {value!r} beside two others")
    others = [one for one in values if one != value]
    kept = {value, *(others if full else others[:4])}
    uploaded = {PurePosixPath(one["file"]).name: one["attributes"] for one in manifest["assets"]}
    after = {name for name, one in uploaded.items() if str(one[attribute]) in kept}
    before = {name for name in after if str(uploaded[name][attribute]) != value}
    return (
        some_of_gallery(gallery, before, scratch / "before"),
        some_of_gallery(gallery, after, scratch / "after"),
    )


async def _command(system: System, *words: str) -> str:
    """Run an operator's command against the system; what it printed, in one piece."""
    Console().print(f"./rehydrate {' '.join(words)}", style="dim", highlight=False)
    environment = {**system.origin_environment(), "COLUMNS": "200"}
    return "\n".join(await operator(environment, *words))


def _url(asset: dict[str, Any]) -> str:
    return f"/{PROPERTY}/{PurePosixPath(asset['file']).name}"


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
