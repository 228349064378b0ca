"""Options that several of the origin's commands share."""

from pathlib import Path
from typing import Annotated

import typer

PropertyOption = Annotated[str, typer.Option("--property", help="The property's id.")]
GalleryOption = Annotated[Path, typer.Option(help="Folder with the gallery's manifest.json.")]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", file_okay=False, help="Folder of database, keys and models (./var)."),
]
StoreOption = Annotated[list[str] | None, typer.Option(help="Record store, one per region.")]
RegionOption = Annotated[list[str] | None, typer.Option(help="Region to purge, by its URL.")]
EdgeOption = Annotated[list[str] | None, typer.Option(help="Edge to purge, by its admin URL.")]
ByOption = Annotated[str | None, typer.Option(help="Who does it; this account by default.")]
