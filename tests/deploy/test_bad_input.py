"""What a person gets wrong: one line on stderr that says what and where, exit code 1, no scraps.

Each test runs the command itself. Those that load torch are slow.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deploy.layout import HOST, PROPERTIES, REGIONS, ROOT, SAMPLE, State
from tests.deploy.test_up import neighbouring_ports

APPROVED = SAMPLE / "approved.jsonl"
slow = pytest.mark.slow


def refused(*command: object, **environment: object) -> str:
    """Run ``python -m …``; the one line that it ended with."""
    ended = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **{name: str(value) for name, value in environment.items()},
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1, ended
    assert ended.stderr.endswith("\n") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.rstrip("\n")


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / "var")
    made.prepare()
    return made


@pytest.fixture
def no_folder(tmp_path: Path) -> Path:
    """A path below a file, where nobody, root included, can make a folder."""
    (tmp_path / "file").write_text("not a folder")
    return tmp_path / "file" / "folder"


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as holder:
        yield holder.getsockname()[1]


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Two pictures of the sample, which also are all that the asset store has."""
    manifest = json.loads((SAMPLE / "manifest.json").read_text())
    manifest["assets"] = manifest["assets"][:2]
    folder = tmp_path / "gallery"
    for asset in manifest["assets"]:
        target = folder / asset["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SAMPLE / asset["file"], target)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def second(gallery: Path) -> Path:
    """The file of the gallery's second picture."""
    assets = json.loads((gallery / "manifest.json").read_text())["assets"]
    return gallery / str(assets[1]["file"])


def origin(state: State, **changed: object) -> dict[str, object]:
    return {**state.origin_environment(), "ORIGIN_PORT": 0, **changed}


def edge(state: State, **changed: object) -> dict[str, object]:
    return {
        "EDGE_PORT": 0,
        "EDGE_ADMIN_PORT": 0,
        "EDGE_TRUSTED_KEYS": state.trusted_keys,
        "EDGE_PROPERTIES_DIR": PROPERTIES,
        "EDGE_ORIGIN_URL": f"http://{HOST}:9",
        "EDGE_CACHE_DIR": state.folder / "edge",
        **changed,
    }


def region(state: State, **changed: object) -> dict[str, object]:
    return {
        "REGION_PORT": 0,
        "REGION_TRUSTED_KEYS": state.trusted_keys,
        "REGION_PROPERTIES_DIR": PROPERTIES,
        "REGION_MODELS_DIR": state.folder / "models",
        "REGION_LEDGER_DIR": state.folder / "ledger",
        "REGION_RENDITIONS_DIR": state.folder / "renditions",
        **changed,
    }


def test_state_that_cannot_be_kept(no_folder: Path) -> None:
    line = refused("deploy", "up", "--state", no_folder, "--port", 20_000)
    assert line == f"rehydrate: {no_folder}: cannot keep state there: Not a directory"


@pytest.mark.parametrize("port", [0, 65_530, 99_999])
def test_ports_that_there_are_not(port: int, tmp_path: Path) -> None:
    line = refused("deploy", "up", "--state", tmp_path / "var", "--port", port)
    assert line == f"rehydrate: --port {port}: choose one between 1 and 65522"
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("regions", [0, 6])
def test_more_regions_than_there_are(regions: int, tmp_path: Path) -> None:
    line = refused("deploy", "up", "--state", tmp_path / "var", "--regions", regions)
    assert line == f"rehydrate: --regions {regions}: choose 1 to 5"


def test_a_folder_that_is_not_ours_is_not_removed(tmp_path: Path) -> None:
    assert "was not made by ./rehydrate up" in refused("deploy", "reset", "--state", tmp_path)
    assert tmp_path.exists()


def test_state_that_another_start_uses(state: State, tmp_path: Path) -> None:
    port = neighbouring_ports()
    told = f"rehydrate: {state.folder}: in use by another ./rehydrate up; stop that one or"
    with state.held():
        assert told in refused("deploy", "up", "--state", state.folder, "--port", port)
        assert told in refused("deploy", "reset", "--state", state.folder)
    assert state.trusted_keys.exists()


def test_ports_that_somebody_holds(state: State, busy_port: int) -> None:
    taken = f"{HOST}:{busy_port}: Address already in use"
    assert taken in refused("edge", **edge(state, EDGE_PORT=busy_port))
    assert taken in refused("regional_gpu", **region(state, REGION_PORT=busy_port))
    line = refused("origin", **origin(state, ORIGIN_PORT=busy_port))
    assert f"{HOST}:{busy_port}: cannot listen there: Address already in use" in line


def test_folders_that_cannot_be_written(state: State, no_folder: Path) -> None:
    for line in (
        refused("edge", **edge(state, EDGE_CACHE_DIR=no_folder)),
        refused("regional_gpu", **region(state, REGION_MODELS_DIR=no_folder)),
        refused("regional_gpu", **region(state, REGION_RENDITIONS_DIR=no_folder)),
        refused("origin", **origin(state, ORIGIN_DATABASE_URL=f"sqlite:///{no_folder}/o.db")),
    ):
        assert str(no_folder) in line


def test_an_asset_store_that_is_not_there(state: State, tmp_path: Path) -> None:
    line = refused("origin", **origin(state, ORIGIN_DAM=f"rumba=folder:{tmp_path / 'none'}"))
    assert str(tmp_path / "none") in line


def test_approvals_that_are_missing_or_broken(state: State, tmp_path: Path) -> None:
    broken = tmp_path / "approved.jsonl"
    command = ("deploy", "publish", "--model", SAMPLE / "model", "--approved", broken)
    assert f"{broken}: cannot read approvals: No such file" in refused(*command, **origin(state))
    broken.write_bytes(APPROVED.read_bytes()[:100])
    assert f"{broken}, line 1: not an approval" in refused(*command, **origin(state))


@slow
def test_a_story_that_there_is_not() -> None:
    assert "no story '99'; there are 1 to" in refused("deploy", "up", "--check", "--break", "99")


@slow
def test_a_part_that_cannot_start_is_named(state: State) -> None:
    cache = state.region(REGIONS[0]) / "edge"
    cache.write_text("a file where the cache's folder should be")
    line = refused("deploy", "up", "--state", state.folder, "--port", neighbouring_ports())
    assert line.startswith("rehydrate: edge ended with code 1: edge: ")
    assert str(cache) in line


@slow
def test_galleries_that_cannot_be_used(gallery: Path, state: State, tmp_path: Path) -> None:
    model = tmp_path / "models" / "new"
    manifest, picture = (gallery / "manifest.json"), second(gallery)
    whole, listed = picture.read_bytes(), manifest.read_bytes()

    def told(words: str) -> None:
        line = refused("deploy", "train", "--gallery", gallery, "--out", model)
        assert words in line
        assert not model.exists() and not list(tmp_path.glob("models/.new*"))

    picture.write_text("no picture")
    told(f"{picture}: not a JPEG, PNG, WebP or AVIF image, or a broken one")
    Image.new("L", (10_000, 10_000)).save(picture, "JPEG")
    told(f"{picture}: 10000x10000 is larger than 2048 a side")
    picture.unlink()
    told(f"{picture}: the manifest names it, but there is no such file")
    picture.write_bytes(whole)
    for damaged in (listed[:300], b'{"family": "\xff"}'):
        manifest.write_bytes(damaged)
        told(f"{manifest}: not a gallery's manifest")
    manifest.unlink()
    told(f"{manifest}: No such file")
    command = ("deploy", "dehydrate", "--gallery", gallery, "--model", SAMPLE / "model")
    assert f"{manifest}: No such file" in refused(*command, **origin(state))


@slow
def test_a_picture_that_breaks_off(gallery: Path, state: State, tmp_path: Path) -> None:
    picture = second(gallery)
    picture.write_bytes(picture.read_bytes()[:4000])
    model = tmp_path / "model"
    assert f"{picture} is a damaged image" in refused(
        "deploy", "train", "--gallery", gallery, "--out", model
    )
    assert not list(tmp_path.glob("*model*"))
    line = refused(
        *("deploy", "dehydrate", "--gallery", gallery, "--model", SAMPLE / "model", "--seeds", 1),
        **origin(state, ORIGIN_DAM=f"rumba=folder:{gallery / 'gallery'}"),
    )
    assert picture.name in line


@slow
def test_models_that_cannot_be_used(gallery: Path, state: State, tmp_path: Path) -> None:
    model = tmp_path / "model"

    def everywhere(told: str) -> None:
        command = ("deploy", "dehydrate", "--gallery", gallery, "--model", model)
        assert told in refused(*command, **origin(state))
        command = ("deploy", "publish", "--approved", APPROVED, "--model", model)
        refused(*command, **origin(state))
        assert not list((state.folder / "models").glob("*"))

    everywhere(f"{model}: no such model folder")
    model.mkdir()
    everywhere(f"{model}")
    shutil.rmtree(model)
    shutil.copytree(SAMPLE / "model", model)
    tensors = next(model.rglob("*.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:1000])
    everywhere(str(tensors))
    tensors.unlink()
    everywhere(str(model))
