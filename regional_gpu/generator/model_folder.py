"""A model folder is data: what may lie in it, and the checks made before anything is imported."""

import hashlib
import json
import os
import struct
from pathlib import Path, PurePosixPath
from typing import Any

from kvsync.errors import ModelError
from kvsync.model import MAX_FILES, ModelFile, ModelManifest

ALLOWED_SUFFIXES = frozenset({".json", ".safetensors", ".txt", ".model"})
MAX_MODEL_BYTES = 48 << 30
MAX_JSON_BYTES = 32 << 20
MAX_HEADER_BYTES = 16 << 20
DTYPE_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}

FAMILY = "regional_gpu.generator.family"
FAMILY_PIPELINE = "FamilyPipeline"
POSED = "regional_gpu.generator.posed_family"
POSED_PIPELINE = "PosedPipeline"
POSED_FLOW_PIPELINE = "PosedFlowPipeline"
POSED_FLOW_STEPS = 4
CONTENT = "regional_gpu.generator.content_family"
CONTENT_PIPELINE = "ContentPipeline"

PIPELINES = frozenset(
    {
        FAMILY_PIPELINE,
        POSED_PIPELINE,
        POSED_FLOW_PIPELINE,
        CONTENT_PIPELINE,
        "StableDiffusionPipeline",
        "StableDiffusionXLPipeline",
        "FluxPipeline",
    }
)
COMPONENTS = frozenset(
    {
        (FAMILY, "AttributeTokenizer"),
        (FAMILY, "AttributeEncoder"),
        (FAMILY, "CoefficientDenoiser"),
        (FAMILY, "BasisDecoder"),
        (POSED, "PoseDenoiser"),
        (POSED, "PosedDecoder"),
        (CONTENT, "ContentDecoder"),
        ("transformers", "CLIPTokenizer"),
        ("transformers", "CLIPTokenizerFast"),
        ("transformers", "CLIPTextModel"),
        ("transformers", "CLIPTextModelWithProjection"),
        ("transformers", "T5EncoderModel"),
        ("transformers", "T5Tokenizer"),
        ("transformers", "T5TokenizerFast"),
        ("diffusers", "AutoencoderKL"),
        ("diffusers", "AutoencoderTiny"),
        ("diffusers", "FluxTransformer2DModel"),
        ("diffusers", "PriorTransformer"),
        ("diffusers", "UNet2DConditionModel"),
        ("diffusers", "DDIMScheduler"),
        ("diffusers", "DPMSolverMultistepScheduler"),
        ("diffusers", "EulerDiscreteScheduler"),
        ("diffusers", "EulerAncestralDiscreteScheduler"),
        ("diffusers", "FlowMatchEulerDiscreteScheduler"),
        ("diffusers", "LCMScheduler"),
        ("diffusers", "PNDMScheduler"),
    }
)
# Named by many published folders, never loaded: nothing here needs them.
SKIPPED = frozenset({"safety_checker", "feature_extractor", "image_encoder"})


def describe(folder: Path, *, max_bytes: int = MAX_MODEL_BYTES) -> ModelManifest:
    """List the files of a model folder with size and digest.

    Raises ModelError when there is no such folder, or it holds a link, a file that is not model
    data, too many files or too many bytes.
    """
    sizes = _sizes(folder, max_bytes)
    return ModelManifest(
        tuple(ModelFile(path, sizes[path], _digest(folder / path)) for path in sorted(sizes))
    )


def check(folder: Path, manifest: ModelManifest, *, max_bytes: int = MAX_MODEL_BYTES) -> None:
    """Check that the folder holds exactly the manifest's files and only data that may be loaded.

    Raises ModelError naming the first file that is missing, extra, changed, malformed or not
    allowed. Imports nothing.
    """
    check_listing(manifest, max_bytes=max_bytes)
    listed = {file.path: file for file in manifest.files}
    sizes = _sizes(folder, max_bytes)
    for path in sorted(sizes.keys() ^ listed.keys()):
        wrong = "missing" if path in listed else "not in the model's list"
        raise ModelError(f"{folder / path}: {wrong}; fetch the model again")
    for path, file in listed.items():
        if sizes[path] != file.size or _digest(folder / path) != file.digest:
            raise ModelError(f"{folder / path}: differs from the model's list; fetch it again")
    check_content(folder, list(listed))


def check_listing(manifest: ModelManifest, *, max_bytes: int = MAX_MODEL_BYTES) -> None:
    """Check a manifest by itself, before any of its files is fetched. Raises ModelError."""
    paths = [file.path for file in manifest.files]
    if paths != sorted(set(paths)) or len(paths) > MAX_FILES:
        raise ModelError("model list: not sorted, with repeats or too long; publish the model anew")
    for file in manifest.files:
        _check_path(file.path)
        if file.size < 0 or len(file.digest) != 32:
            raise ModelError(f"model list: {file.path} has a malformed size or digest")
    if sum(file.size for file in manifest.files) > max_bytes:
        raise ModelError(f"model list: the files are more than {max_bytes} bytes together")


def check_content(folder: Path, paths: list[str]) -> None:
    """Check every file's inside: JSON, safetensors headers, classes. Raises ModelError."""
    for path in paths:
        if path.endswith(".safetensors"):
            check_safetensors(folder / path)
        elif path.endswith(".json"):
            content = read_json(folder / path)
            if isinstance(content, dict) and "auto_map" in content:
                raise ModelError(f"{folder / path}: asks for code of its own (auto_map); not run")
    check_classes(folder)


def check_classes(folder: Path) -> dict[str, tuple[str, str]]:
    """The components of model_index.json, {name: (library, class)}, each in the table.

    Raises ModelError when the index is missing, malformed or names anything else.
    """
    path = folder / "model_index.json"
    index = read_json(path)
    if not isinstance(index, dict):
        raise ModelError(f"{path}: not a JSON object; is this a diffusers pipeline folder?")
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in PIPELINES:
        known = ", ".join(sorted(PIPELINES))
        raise ModelError(f"{path}: pipeline {pipeline!r} is not one of {known}")
    components: dict[str, tuple[str, str]] = {}
    for name, value in index.items():
        if not isinstance(value, list):
            if not name.startswith("_") and not isinstance(value, bool | int | float | None):
                raise ModelError(f"{path}: {name} is {value!r}, not a component or a number")
            continue
        if name in SKIPPED or value == [None, None]:
            continue
        if len(value) != 2 or (value[0], value[1]) not in COMPONENTS:
            raise ModelError(f"{path}: {name} names {value!r}, which is not an allowed class")
        if PurePosixPath(name).parts != (name,) or name.startswith("."):
            raise ModelError(f"{path}: {name!r} is not a component name")
        components[name] = (value[0], value[1])
    return components


def check_safetensors(path: Path) -> None:
    """Check that the header is small, is JSON and covers the file exactly. Raises ModelError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise ModelError(f"{path}: not a safetensors file (a header of {length} bytes)")
        header = file.read(length)
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        spans = sorted(_span(tensor) for tensor in tensors.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(f"{path}: the safetensors header is malformed") from None
    end = 0
    for begin, stop in spans:
        if begin != end or stop < begin:
            raise ModelError(f"{path}: the tensors do not lie end to end; the file is damaged")
        end = stop
    if end != size - 8 - length:
        raise ModelError(f"{path}: holds {size - 8 - length} bytes of tensors, names {end}")


def read_json(path: Path) -> Any:
    """The content of a JSON file of the model. Raises ModelError."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path}: larger than {MAX_JSON_BYTES} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; is this a model folder?") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: not JSON; fetch the model again") from None


def _span(tensor: dict[str, Any]) -> tuple[int, int]:
    begin, stop = tensor["data_offsets"]
    elements = 1
    for length in tensor["shape"]:
        if not isinstance(length, int) or length < 0:
            raise ValueError("shape")
        elements *= length
    if elements * DTYPE_BITS[tensor["dtype"]] != 8 * (stop - begin):
        raise ValueError("size")
    return begin, stop


def _sizes(folder: Path, max_bytes: int) -> dict[str, int]:
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder; train or fetch the model first")
    sizes: dict[str, int] = {}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(base, name)
            if path.is_symlink():
                raise ModelError(f"{path}: a link; a model folder holds plain files only")
        for name in files:
            path = Path(base, name)
            inside = path.relative_to(folder).as_posix()
            _check_path(inside)
            sizes[inside] = path.stat().st_size
        if len(sizes) > MAX_FILES or sum(sizes.values()) > max_bytes:
            raise ModelError(f"{folder}: more than {MAX_FILES} files or {max_bytes} bytes")
    return sizes


def _check_path(path: str) -> None:
    parts = path.split("/")
    if "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise ModelError(f"model list: {path!r} is not a plain relative path")
    if PurePosixPath(path).suffix not in ALLOWED_SUFFIXES:
        raise ModelError(f"{path}: only safetensors, JSON and vocabularies may lie in a model")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(
            file,
            lambda: hashlib.blake2b(digest_size=32),
        ).digest()
