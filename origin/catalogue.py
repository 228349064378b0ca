"""What the serving half needs of a gallery: its manifest. Reading pictures is not its business."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from kvsync.errors import InputError


class CatalogueAsset(msgspec.Struct, frozen=True):
    file: str
    attributes: dict[str, Any]
    bytes: int = 0


class _Manifest(msgspec.Struct, frozen=True):
    family: str
    assets: list[CatalogueAsset]
    below: str = ""


@dataclass(frozen=True)
class Catalogue:
    """A family's assets by their name in the asset store."""

    folder: Path
    family: str
    assets: dict[str, CatalogueAsset]

    @property
    def families(self) -> dict[str, str]:
        return dict.fromkeys(self.assets, self.family)

    @property
    def attribute_values(self) -> dict[str, list[Any]]:
        """The values of each attribute, in the manifest's order."""
        values: dict[str, dict[Any, None]] = {}
        for asset in self.assets.values():
            for name, value in asset.attributes.items():
                values.setdefault(name, {})[value] = None
        return {name: list(found) for name, found in values.items()}


def read_catalogue(folder: Path) -> Catalogue:
    """Read ``manifest.json`` in ``folder``; :class:`InputError` says what is wrong with it."""
    path = folder / "manifest.json"
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except OSError as error:
        raise InputError(f"{path}: cannot read the gallery's manifest: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: not a gallery manifest: {error}") from error
    if not manifest.assets:
        raise InputError(f"{path}: lists no assets; add some")
    files = [asset.file for asset in manifest.assets]
    for file in files:
        if file.startswith("/") or ".." in file.split("/"):
            raise InputError(f"{path}: {file!r} is outside the gallery's folder")
    names = store_names(files, manifest.below)
    return Catalogue(folder, manifest.family, dict(zip(names, manifest.assets, strict=True)))


def store_names(files: list[str], below: str = "") -> list[str]:
    """Names in the asset store of a manifest's files: less the folder that all of them share, which
    is the store's folder ``below``."""
    shared = os.path.commonpath([os.path.dirname(file) for file in files])
    return [below + PurePosixPath(file).relative_to(shared).as_posix() for file in files]
