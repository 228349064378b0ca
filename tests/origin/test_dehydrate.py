"""Dehydrating, deciding and publishing with a real model, trained on a gallery of four pictures."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from kvsync.errors import InputError
from origin.approved import read_approved, write_approved
from origin.cli import app
from origin.dehydrate import Effort, finalists, fit, mean_delta_e, plan
from origin.gallery import read_gallery
from origin.qa import list_candidates
from origin.training import train
from origin.workplace import Workplace
from regional_gpu.generator.load import Job

RED = "/rumba/red-white.jpg"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained(trained_folder: Path, gallery: Path) -> Path:
    """The family model of the gallery, trained once: its pictures are the same in every test."""
    out = trained_folder / "model"
    if not out.exists():
        train(read_gallery(gallery), out, progress=lambda doing, share: None)
    return out


def options(gallery: Path, model: Path) -> tuple[str, ...]:
    """Plain squares are unkind to JPEG, so the least score is low."""
    paths = ("--gallery", str(gallery), "--model", str(model))
    return ("dehydrate", *paths, "--seeds", "3", "--min-score", "50")


@pytest.fixture
def fitted(place: Workplace, gallery: Path, trained: Path) -> Result:
    """The output of a dehydration of the whole gallery."""
    result = run(*options(gallery, trained))
    assert result.exit_code == 0, result.output
    return result


class Painter:
    """A generator of flat pictures whose brightness is the seed; counts what it made."""

    digest = bytes(32)
    size_bytes = 0

    def __init__(self, *, listens: bool) -> None:
        self.listens = listens
        self.made = 0

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        self.made += len(jobs)
        shades = [40 * job.seed if self.listens else 0 for job in jobs]
        return [np.full((96, 96, 3), shade, np.uint8) for shade in shades]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        return np.zeros((0, 96, 96), np.uint8)


def jobs(count: int) -> list[Job]:
    return [Job("grey", seed, 96, 96, 1, "Euler", 1.0) for seed in range(count)]


def test_of_several_seeds_the_nearest_picture_is_kept() -> None:
    reference = np.full((96, 96, 3), 125, np.uint8)
    best = fit(Painter(listens=True), "/a.png", "grey", reference, Effort(seeds=6))
    assert best.recipe.seed == 3 and best.psnr > 30 and best.state == "proposed"


def test_only_the_best_by_a_fast_measure_are_scored_in_full() -> None:
    reference = np.full((96, 96, 3), 125, np.uint8)
    scored = finalists(Painter(listens=True), jobs(6), reference)
    assert [job.seed for job, _ in scored] == [3, 4, 2]


def test_a_model_that_ignores_its_seed_is_not_asked_for_all_of_them() -> None:
    painter = Painter(listens=False)
    ((best, _),) = finalists(painter, jobs(8), np.zeros((96, 96, 3), np.uint8))
    assert best.seed == 0 and painter.made == 2


def test_colour_is_judged_inside_each_attributes_own_region() -> None:
    reference = np.zeros((192, 192, 3), np.uint8)
    picture = reference.copy()
    picture[:96, :96] = 255
    masks = np.zeros((2, 96, 96), np.uint8)
    masks[0, :48, :48], masks[1, 48:, 48:] = 255, 255
    assert mean_delta_e(reference, picture, masks) == pytest.approx(50, abs=1)
    assert mean_delta_e(reference, picture, masks[:0]) == pytest.approx(25, abs=1)


def test_every_asset_gets_a_candidate_that_looks_like_it(place: Workplace, fitted: Result) -> None:
    assert "4 proposed, 0 fell short" in fitted.output
    rows = list_candidates(place.database, "rumba", "proposed", "path")
    assert [row.asset.path for row in rows] == [
        f"/rumba/{name}.jpg" for name in ("blue-grey", "blue-white", "red-grey", "red-white")
    ]
    assert all(row.ssimulacra2 > 50 and row.psnr > 30 for row in rows)
    assert all(len(row.fingerprint) <= 112 for row in rows)
    assert rows[3].asset.attributes == {"ink": "red", "paper": "white"}


def test_dehydrating_again_does_only_what_changed(
    fitted: Result, place: Workplace, gallery: Path, trained: Path
) -> None:
    again = run(*options(gallery, trained))
    assert "all 4 had been done before" in again.output
    picture = Image.open(gallery / "pictures" / "red-white.jpg")
    picture.save(gallery / "pictures" / "red-white.jpg", quality=95)
    changed = run(*options(gallery, trained))
    assert "1 proposed, 0 fell short, 3 done before" in changed.output


def test_what_falls_short_is_not_proposed_and_it_says_by_how_much(
    place: Workplace, gallery: Path, trained: Path
) -> None:
    one = (*options(gallery, trained), "--only", "red-white*")
    result = run(*one, "--min-score", "100.5")
    assert f"not proposed: {RED}" in result.output.replace("\n", "") and "short" in result.output
    assert list_candidates(place.database, "rumba", "proposed") == []
    lower = run(*one)
    assert "1 proposed" in lower.output


def test_a_person_decides_and_the_file_carries_it_to_another_origin(
    fitted: Result, place: Workplace, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("qa", "approve", "--all").exit_code == 2
    assert run("qa", "approve", "red-*", "--by", "Ada", "--above", "101").output.startswith("0")
    assert run("qa", "approve", "--all", "--by", "Ada").output.startswith("4 approved by Ada")
    assert run("qa", "reject", RED, "--reason", "too red").output.startswith("1 rejected")
    file = tmp_path / "approved.jsonl"
    run("qa", "export", str(file))
    assert [entry.approver for entry in read_approved(file)] == ["Ada"] * 3
    monkeypatch.setenv("ORIGIN_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    publish = ("publish", "--approved", str(file), "--model", str(trained), "--json")
    first = run(*publish)
    assert "3 of 3 approvals hold on this machine" in first.output
    assert json.loads(first.output.splitlines()[-1]) == {"published": 3, "refused": 0, "already": 0}
    second = run(*publish)
    assert "generated" not in second.output
    assert json.loads(second.output.splitlines()[-1])["already"] == 3


def test_only_what_this_machine_makes_alike_is_signed(
    fitted: Result, place: Workplace, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("qa", "approve", "--all", "--by", "Ada")
    file = tmp_path / "approved.jsonl"
    run("qa", "export", str(file))
    entries = read_approved(file)
    swapped = msgspec.structs.replace(entries[0], check=entries[3].check)
    write_approved(file, [swapped, *entries[1:]])
    monkeypatch.setenv("ORIGIN_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    result = run("publish", "--approved", str(file), "--model", str(trained), "--json")
    assert f"not published: {entries[0].path}: this machine's picture differs" in result.output
    assert json.loads(result.output.splitlines()[-1]) == {
        "published": 3,
        "refused": 1,
        "already": 0,
    }


def test_approvals_of_another_model_are_refused(
    fitted: Result, place: Workplace, model: Path, tmp_path: Path
) -> None:
    run("qa", "approve", "--all", "--by", "Ada")
    run("qa", "export", str(tmp_path / "a.jsonl"))
    result = run("publish", "--approved", str(tmp_path / "a.jsonl"), "--model", str(model))
    assert result.exit_code == 1 and "the approvals are of" in result.stderr


def test_the_sheet_shows_original_generated_and_difference(fitted: Result, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert run("qa", "sheet", "--out", str(out)).exit_code == 0
    with Image.open(out) as sheet:
        original, generated = sheet.getpixel((200, 200)), sheet.getpixel((592, 200))
    assert isinstance(original, tuple) and isinstance(generated, tuple)
    assert np.abs(np.subtract(original, generated)).max() < 8


def test_the_list_has_scores_and_states(fitted: Result) -> None:
    result = run("qa", "list", "--sort", "path")
    assert RED in result.output and "4 candidates" in result.output


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(place: Workplace, gallery: Path, trained: Path) -> None:
    command = [sys.executable, "-m", "origin", "dehydrate", "--gallery", str(gallery)]
    command += ["--model", str(trained), "--seeds", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list_candidates(place.database, "rumba") and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list_candidates(place.database, "rumba"))
    result = run(*command[3:])
    assert result.exit_code == 0
    assert f"{done} done before" in result.output or f"all {done} had been done" in result.output
    assert len(list_candidates(place.database, "rumba")) == 4


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json"),
        (lambda folder: (folder / "pictures/red-white.jpg").unlink(), "no such file"),
        (lambda folder: (folder / "pictures/red-white.jpg").write_bytes(b"x"), "broken"),
        (
            lambda folder: Image.new("1", (11_000, 10_000)).save(
                folder / "pictures/red-white.jpg", "PNG"
            ),
            "larger",
        ),
    ],
)
def test_a_bad_gallery_ends_with_one_line(
    place: Workplace, gallery: Path, trained: Path, damage: object, says: str
) -> None:
    assert callable(damage)
    damage(gallery)
    result = run("dehydrate", "--gallery", str(gallery), "--model", str(trained))
    assert result.exit_code == 1
    assert result.stderr.startswith("rehydrate: ") and result.stderr.count("\n") == 1
    assert says in result.stderr
    assert list_candidates(place.database, "rumba") == []


def test_a_picture_that_is_broken_behind_its_header_is_named(
    place: Workplace, gallery: Path, trained: Path
) -> None:
    path = gallery / "pictures" / "red-white.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    result = run("dehydrate", "--gallery", str(gallery), "--model", str(trained))
    assert result.exit_code == 1 and RED in result.stderr and "damaged" in result.stderr


def test_a_missing_model_ends_with_one_line(
    place: Workplace, gallery: Path, tmp_path: Path
) -> None:
    none = str(tmp_path / "none")
    for command in (
        ("dehydrate", "--gallery", str(gallery), "--model", none),
        ("train", "--gallery", none, "--out", str(tmp_path / "out")),
    ):
        result = run(*command)
        assert result.exit_code == 1 and none in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_asset_that_the_store_lacks_is_named(
    place: Workplace, gallery: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("ORIGIN_DAM", f"rumba=folder:{tmp_path}/empty")
    result = run("dehydrate", "--gallery", str(gallery), "--model", str(trained))
    assert result.exit_code == 1 and "not in the asset store" in result.stderr


def test_a_pattern_that_fits_nothing_is_an_error(place: Workplace, gallery: Path) -> None:
    with pytest.raises(InputError, match="matches 'green'"):
        plan(place.site, read_gallery(gallery), "green")


@pytest.mark.parametrize("command", ["train", "sheet", "export"])
def test_a_folder_that_cannot_be_written_is_named(
    fitted: Result, gallery: Path, trained: Path, command: str
) -> None:
    result = {
        "train": lambda: run("train", "--gallery", str(gallery), "--out", "/proc/none/model"),
        "sheet": lambda: run("qa", "sheet", "--model", str(trained), "--out", "/proc/none/a.png"),
        "export": lambda: run("qa", "export", "/proc/none/approved.jsonl"),
    }[command]()
    assert result.exit_code == 1 and "/proc/none" in result.stderr
    assert result.stderr.count("\n") == 1
