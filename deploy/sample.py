"""Parts of the sample: some of its approvals, some of its gallery."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from deploy.layout import SAMPLE
from kvsync.files import write_file

APPROVED = SAMPLE / "approved.jsonl"


def approved_paths(approved: Path) -> list[str]:
    """The URL paths of a file of approvals, in its order."""
    return [json.loads(line)["path"] for line in approved.read_text().splitlines()]


def some_approvals(into: Path, every: int) -> Path:
    """Write one in ``every`` approvals of the sample to the file ``into``, which is returned."""
    lines = APPROVED.read_bytes().splitlines(keepends=True)[::every]
    write_file(into, b"".join(lines))
    return into


def some_of_gallery(gallery: Path, names: Collection[str], into: Path) -> dict[str, Any]:
    """Copy the images of these file names into the new folder ``into``; the manifest there."""
    manifest: dict[str, Any] = json.loads((gallery / "manifest.json").read_text())
    assets = [one for one in manifest["assets"] if PurePosixPath(one["file"]).name in names]
    for one in assets:
        (into / one["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(gallery / one["file"], into / one["file"])
    part = {**manifest, "assets": assets}
    (into / "manifest.json").write_text(json.dumps(part))
    return part
