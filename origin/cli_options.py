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
RegionOption = Annotated[
    list[str] | None, typer.Option(help="GPU service of a region to ask, by its URL.")
]
ByOption = Annotated[str | None, typer.Option(help="Who does it; this account by default.")]
