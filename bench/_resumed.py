"""A long run in steps: what a step found is kept until all of it was printed."""

import json
import os
from pathlib import Path
from typing import Any

from deploy.layout import ROOT

KEPT_IN = ROOT / "var" / "bench"


class Steps:
    """Figures by step, in one JSON file, so that a run that was ended goes on where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    @classmethod
    def of(cls, bench: str) -> "Steps":
        return cls(KEPT_IN / f"{bench}.json")

    def __contains__(self, step: str) -> bool:
        return step in self._found

    def __getitem__(self, step: str) -> Any:
        return self._found[step]

    def keep(self, step: str, figures: Any) -> None:
        """``figures`` as JSON has them; on disk when this returns."""
        self._found[step] = figures
        self._path.parent.mkdir(parents=True, exist_ok=True)
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps(self._found))
        os.replace(written, self._path)

    def printed(self) -> None:
        """The next run begins anew."""
        self._path.unlink(missing_ok=True)
