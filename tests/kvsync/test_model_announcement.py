"""A model's announcement: what it lists, and what it may not."""

import msgspec
import pytest
from msgspec.structs import replace

from kvsync.errors import ModelError
from kvsync.model import MAX_FILES, ModelAnnouncement, ModelFile, ModelManifest, check_paths
from tests.kvsync.conftest import Trust

MANIFEST = ModelManifest(
    (
        ModelFile("decoder/model.safetensors", 5_000_000, bytes(range(32))),
        ModelFile("model_index.json", 412, bytes(32)),
    )
)
ANNOUNCEMENT = ModelAnnouncement("model", "shop", "rumba", MANIFEST)


def read(signed: bytes, trust: Trust, digest: bytes = MANIFEST.digest) -> ModelAnnouncement:
    return ModelAnnouncement.from_signed(signed, trust.ring, property="shop", digest=digest)


def test_v1_model_names_never_change() -> None:
    assert MANIFEST.digest.hex() == (
        "797d165e08e9079f04b0b42a7372a0e2b89c38ae64fcf8f3195c8b128b2960b9"
    )
    assert MANIFEST.size == 5_000_412


def test_an_announcement_is_read_as_signed(trust: Trust) -> None:
    assert read(ANNOUNCEMENT.sign(trust.key), trust) == ANNOUNCEMENT


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (replace(ANNOUNCEMENT, kind="still"), "of something else"),
        (replace(ANNOUNCEMENT, property="other"), "of something else"),
        (replace(ANNOUNCEMENT, manifest=ModelManifest(())), "lists another model"),
    ],
)
def test_an_announcement_of_anything_else_is_refused(
    trust: Trust, changed: ModelAnnouncement, fault: str
) -> None:
    with pytest.raises(ModelError, match=f"model {MANIFEST.digest.hex()[:8]}: .*{fault}"):
        read(changed.sign(trust.key), trust)


def test_an_unsigned_or_unreadable_announcement_is_refused(trust: Trust) -> None:
    signed = bytearray(ANNOUNCEMENT.sign(trust.key))
    signed[-1] ^= 1
    for data in (bytes(signed), b"", trust.key.sign(b"\x91" * 2_000), trust.key.sign(b"\xa1\xff")):
        with pytest.raises(ModelError, match="announcement refused"):
            read(data, trust)


@pytest.mark.parametrize(
    "file",
    [ModelFile("a", -1, bytes(32)), ModelFile("a", 1, bytes(31)), ModelFile("a", 2**63, bytes(32))],
)
def test_a_file_out_of_bounds_is_refused(trust: Trust, file: ModelFile) -> None:
    manifest = ModelManifest((file,))
    signed = trust.key.sign(
        msgspec.msgpack.encode(ModelAnnouncement("model", "shop", "rumba", manifest))
    )
    with pytest.raises(ModelError, match="announcement refused"):
        read(signed, trust, manifest.digest)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a/./b",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a b",
        "é",
        "~/a:b",
    ],
)
def test_a_path_that_leaves_the_folder_or_is_not_plain_is_refused(trust: Trust, path: str) -> None:
    manifest = ModelManifest((ModelFile(path, 1, bytes(32)),))
    signed = replace(ANNOUNCEMENT, manifest=manifest).sign(trust.key)
    with pytest.raises(ModelError, match="no file inside its folder"):
        read(signed, trust, manifest.digest)


def manifest_of(*paths: str) -> ModelManifest:
    return ModelManifest(tuple(ModelFile(path, 1, bytes(32)) for path in paths))


def test_a_model_lists_each_path_once_and_no_file_as_a_folder() -> None:
    check_paths(manifest_of("a", "b/a", "b/c/model-00001-of-00002.safetensors"))
    with pytest.raises(ModelError, match="each once"):
        check_paths(manifest_of("a", "a"))
    with pytest.raises(ModelError, match="'b', which is no file"):
        check_paths(manifest_of("b", "b/a"))


def test_a_model_has_a_bounded_number_of_files() -> None:
    check_paths(manifest_of(*(f"f{n}" for n in range(MAX_FILES))))
    for count in (0, MAX_FILES + 1):
        with pytest.raises(ModelError, match=f"1 to {MAX_FILES} files"):
            check_paths(manifest_of(*(f"f{n}" for n in range(count))))
