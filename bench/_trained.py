"""Training for a measurement, kept until the measurement is done: an interrupted one goes on."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kvsync.files import write_file
from origin.gallery import read_gallery
from origin.training.command import train_command
from origin.training.stages import content_key

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "var" / "quality"


class Training(msgspec.Struct, frozen=True):
    """What a training made, once it is whole."""

    model_bytes: int
    seconds: float


@dataclass(frozen=True)
class Work:
    """The folder of one gallery's measurement, named by the gallery's and the code's content."""

    folder: Path
    gallery: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def train(self, minutes: float) -> Training:
        """Train the gallery from nothing; or take up what an interrupted run had trained.

        Raises InputError as training does.
        """
        note = self.folder / "training.json"
        if note.is_file() and self.model.is_dir():
            return msgspec.json.decode(note.read_bytes(), type=Training)
        report = train_command(self.gallery, self.model, minutes=minutes)
        made = Training(report.model_bytes, report.seconds)
        write_file(note, msgspec.json.encode(made))
        return made

    def done(self) -> None:
        """Forget all of it: the next measurement trains from nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)


def work_on(gallery: Path, work: Path = WORK) -> Work:
    """Raises InputError when the gallery cannot be read."""
    return Work(work / content_key(read_gallery(gallery)), gallery)
