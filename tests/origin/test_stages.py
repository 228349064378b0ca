"""Training goes on from the stages that it finished, whatever ended it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from kvsync.errors import InputError
from origin.gallery import read_gallery
from origin.training.family import train
from origin.training.stages import Stages, stages_beside

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Found:
    name: str
    levels: NDArray[np.float32]
    codes: Tensor


def ignored(doing: str, done: float) -> None:
    """Hears of progress."""


def test_a_finished_stage_comes_back_bit_by_bit(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    made = Found("lace", levels, torch.from_numpy(levels.T.copy()))
    assert Stages(tmp_path).kept("one", Found, lambda: made) is made
    again = Stages(tmp_path).kept("one", Found, pytest.fail)
    assert again.name == "lace" and again.levels.dtype == np.float32
    assert np.array_equal(again.levels, levels) and torch.equal(again.codes, made.codes)


def test_another_gallery_or_seed_starts_from_nothing(gallery: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    first = stages_beside(out, read_gallery(gallery), 0)
    first.kept("one", Found, lambda: Found("lace", np.zeros(1, np.float32), torch.zeros(1)))
    assert first.folder.is_dir()
    assert stages_beside(out, read_gallery(gallery), 0).spent > 0
    other = stages_beside(out, read_gallery(gallery), 1)
    assert other.spent == 0 and not first.folder.exists()


def test_a_training_with_too_little_time_goes_on_when_it_gets_more(
    gallery: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    with pytest.raises(InputError, match="give more"):
        train(read_gallery(gallery), out, progress=ignored, minutes=0)
    assert len(list(tmp_path.glob(".model-stages/*/measured.stage"))) == 1
    heard: list[str] = []
    train(read_gallery(gallery), out, progress=lambda doing, done: heard.append(doing))
    assert "reading the gallery" not in heard
    assert sorted(path.name for path in tmp_path.glob("*model*")) == ["model"]
    assert not list(tmp_path.glob(".model*"))


@pytest.mark.slow
def test_a_training_killed_in_its_middle_makes_the_same_model(
    gallery: Path, tmp_path: Path
) -> None:
    whole = train(read_gallery(gallery), tmp_path / "whole", progress=ignored)
    command = "import sys; from origin.training.command import train_command; "
    command += "from pathlib import Path; train_command(Path(sys.argv[1]), Path(sys.argv[2]))"
    killed = subprocess.Popen(
        [sys.executable, "-c", command, str(gallery), str(tmp_path / "killed")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    while not list(tmp_path.glob(".killed-stages/*/layout-0.stage")):
        assert killed.poll() is None, "it ended by itself"
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed").exists()
    heard: list[str] = []
    report = train(
        read_gallery(gallery), tmp_path / "killed", progress=lambda doing, done: heard.append(doing)
    )
    assert report.digest == whole.digest and report.seconds > 0
    assert "reading the gallery" not in heard
