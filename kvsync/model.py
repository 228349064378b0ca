"""A model's announcement: a signed list of its files, named by the digest of that list.

``GET /v1/models/{digest}`` at the origin answers the envelope, ``GET /v1/models/{digest}/{path}``
one file. Regions pull a model over these before they offer it.
"""

import hashlib
import re
from pathlib import PurePosixPath
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import ModelError, RehydrationError
from kvsync.signing import Keyring, SigningKey

MAX_FILES = 64
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")


class ModelFile(msgspec.Struct, frozen=True, array_like=True):
    """One file of a model folder: relative POSIX path, size in bytes, BLAKE2b-256."""

    path: str
    size: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    digest: Annotated[bytes, Meta(min_length=32, max_length=32)]


class ModelManifest(msgspec.Struct, frozen=True, array_like=True):
    """The files of a model folder, sorted by path."""

    files: tuple[ModelFile, ...]

    @property
    def digest(self) -> bytes:
        """BLAKE2b-256 of the msgpack encoding: the model's name."""
        return hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=32).digest()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class ModelAnnouncement(msgspec.Struct, frozen=True, array_like=True):
    """What the origin signs about a model."""

    kind: str
    property: str
    family: str
    manifest: ModelManifest

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, property: str, digest: bytes) -> Self:
        """Verify, parse, and demand that the list is the one that ``digest`` names."""
        try:
            found = msgspec.msgpack.decode(keys.open(signed, property), type=cls)
        except (*UNREADABLE, RehydrationError) as error:
            raise ModelError(f"model {digest.hex()[:8]}: announcement refused: {error}") from error
        if found.kind != "model" or found.property != property:
            raise ModelError(f"model {digest.hex()[:8]}: the announcement is of something else")
        if found.manifest.digest != digest:
            raise ModelError(f"model {digest.hex()[:8]}: the announcement lists another model")
        check_paths(found.manifest)
        return found


def check_paths(manifest: ModelManifest) -> None:
    """:class:`ModelError` unless every path stays inside the folder and appears once."""
    names = [file.path for file in manifest.files]
    if len(set(names)) != len(names) or not 0 < len(names) <= MAX_FILES:
        raise ModelError(f"a model lists 1 to {MAX_FILES} files, each once; this one {len(names)}")
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    for name in names:
        plain = _PLAIN_PATH.fullmatch(name) and not {".", ".."} & set(name.split("/"))
        if not plain or name in folders:
            raise ModelError(f"the model lists {name!r}, which is no file inside its folder")
