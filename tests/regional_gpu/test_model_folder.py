"""Nothing but data, and nothing that was not listed, is ever loaded."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from kvsync.errors import ModelError
from kvsync.model import ModelFile, ModelManifest
from regional_gpu.generator.load import load
from regional_gpu.generator.model_folder import (
    check,
    check_listing,
    describe,
)

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "requires_safety_checker": False,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps(INDEX))
    (tmp_path / "unet" / "config.json").write_text("{}")
    save_file({"w": torch.ones(3)}, tmp_path / "unet" / "weights.safetensors")
    return tmp_path


def test_an_untouched_folder_passes_its_own_list(folder: Path) -> None:
    check(folder, describe(folder))


def test_the_list_is_sorted_and_names_every_file(folder: Path) -> None:
    paths = [file.path for file in describe(folder).files]
    assert paths == ["model_index.json", "unet/config.json", "unet/weights.safetensors"]


def test_the_digest_of_a_list_never_changes() -> None:
    manifest = ModelManifest((ModelFile("model_index.json", 3, bytes(range(32))),))
    assert manifest.digest.hex() == (
        "03600817423124316df15a75a1113bcd533d3913195108603c93e8a212158090"
    )


def test_any_changed_byte_changes_the_digest(folder: Path) -> None:
    before = describe(folder).digest
    (folder / "unet" / "config.json").write_text("[]")
    assert describe(folder).digest != before


def _index(**changes: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "model_index.json").write_text(json.dumps(INDEX | changes))

    return write


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def _link(folder: Path) -> None:
    (folder / "more.json").symlink_to("/etc/hostname")


def _header(length: int) -> bytes:
    return struct.pack("<Q", length) + b"{}"


def _tensors(header: object, data: bytes = b"") -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


WEIGHTS = "unet/weights.safetensors"
ATTACKS = {
    "a class of another library": _index(unet=["os", "system"]),
    "a module that is not listed": _index(unet=["diffusers", "DiffusionPipeline"]),
    "an unknown pipeline": _index(_class_name="EvilPipeline"),
    "a custom pipeline": _index(_class_name=["pipeline", "Evil"]),
    "a component outside the folder": _index(**{"../unet": ["diffusers", "AutoencoderKL"]}),
    "a component of three parts": _index(unet=["diffusers", "AutoencoderKL", "x"]),
    "a setting that is text": _index(custom="https://example.org"),
    "a .py beside it": _file("pipeline.py", b"print('run')"),
    "a .bin": _file("unet/weights.bin", b"x"),
    "a .pt": _file("weights.pt", b"x"),
    "a .ckpt": _file("weights.ckpt", b"x"),
    "a link": _link,
    "an index that is not JSON": _file("model_index.json", b"{"),
    "an index that is a list": _file("model_index.json", b"[]"),
    "an index nested without end": _file("model_index.json", b"[" * 100_000),
    "code asked for by a config": _file("unet/config.json", b'{"auto_map": {"A": "b.C"}}'),
    "a pickle renamed": _file(WEIGHTS, pickle.dumps({"weights": list(range(100))})),
    "a 10 GB header": _file(WEIGHTS, _header(10 << 30)),
    "an empty file": _file(WEIGHTS, b""),
    "a header that is a list": _file(WEIGHTS, _tensors([])),
    "tensors past the end": _file(
        WEIGHTS, _tensors({"w": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}})
    ),
    "tensors that overlap": _file(
        WEIGHTS,
        _tensors(
            {
                "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]},
            },
            b"123456",
        ),
    ),
    "a shape that is not its size": _file(
        WEIGHTS,
        _tensors({"w": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, b"1234"),
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_dangerous_or_damaged_folder_is_refused(
    folder: Path, attack: Callable[[Path], None]
) -> None:
    attack(folder)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_listed_is_refused(folder: Path) -> None:
    manifest = describe(folder)
    (folder / "extra.json").write_text("{}")
    with pytest.raises(ModelError, match="extra.json: not in the model's list"):
        check(folder, manifest)


def test_a_file_that_is_missing_or_changed_is_refused(folder: Path) -> None:
    manifest = describe(folder)
    config = folder / "unet" / "config.json"
    config.write_text("[]")
    with pytest.raises(ModelError, match="differs"):
        check(folder, manifest)
    config.unlink()
    with pytest.raises(ModelError, match="missing"):
        check(folder, manifest)


def test_a_folder_larger_than_allowed_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="bytes"):
        describe(folder, max_bytes=10)


@pytest.mark.parametrize("path", ["../a.json", "/a.json", "a//b.json", "a\\b.json", "a.py", "."])
def test_a_list_with_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ModelError):
        check_listing(ModelManifest((ModelFile(path, 1, bytes(32)),)))


def test_a_list_out_of_order_is_refused() -> None:
    files = tuple(ModelFile(path, 1, bytes(32)) for path in ("b.json", "a.json"))
    with pytest.raises(ModelError, match="not sorted"):
        check_listing(ModelManifest(files))


def test_a_model_that_is_not_the_one_expected_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="not 0000000000000000"):
        load(folder, expect=bytes(32))


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        load(tmp_path / "nowhere")
