"""Ed25519 keys and envelopes (RFC 8032).

An envelope is body bytes, key id and a signature over exactly those bytes. It is never re-encoded:
what was signed is what is stored, sent and verified. Every body is a msgpack array whose first
element names its kind, so a signature of one kind cannot be passed off as another. What stands
behind the third element of an envelope is not signed and not read.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from kvsync.encoding import UNREADABLE
from kvsync.errors import BadSignature, InputError, KeyNotAllowed, MalformedRecord
from kvsync.files import write_file

KEY_ID_BYTES = 8


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """Body, key id (8 bytes) and signature (64 bytes)."""

    body: bytes
    key_id: bytes
    signature: bytes

    @classmethod
    def parse(cls, signed: bytes) -> Self:
        try:
            return msgspec.msgpack.decode(signed, type=cls)
        except UNREADABLE as error:
            raise MalformedRecord(f"not an envelope: {error}") from error


class TrustedKey(msgspec.Struct, frozen=True):
    """A public key (32 bytes, hex) and the properties whose data it may sign."""

    public_key: str
    properties: tuple[str, ...]


def key_id(public_key: bytes) -> bytes:
    """The first 8 bytes of BLAKE2b over the raw public key."""
    return hashlib.blake2b(public_key, digest_size=KEY_ID_BYTES).digest()


class SigningKey:
    """The private half; its file is PEM (PKCS #8) with mode 0600."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_key)

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the key at ``path``, made at first use; refuses a file that others can read."""
        if not os.path.lexists(path):
            pem = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            # Of processes that start together the first one's key is everyone's.
            write_file(path, pem, mode=0o600, replace=False)
        try:
            private_key = load_pem_private_key(_read_private(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InputError(f"{path}: not a plain PEM private key: {error}") from error
        if not isinstance(private_key, Ed25519PrivateKey):
            raise InputError(f"{path}: not an Ed25519 key")
        return cls(private_key)

    def sign(self, body: bytes) -> bytes:
        """The encoded envelope of ``body``."""
        return msgspec.msgpack.encode(Envelope(body, self.key_id, self._private.sign(body)))

    def trusted_for(self, properties: Iterable[str]) -> TrustedKey:
        return TrustedKey(self.public_key.hex(), tuple(properties))


@dataclass(frozen=True)
class Keyring:
    """The public keys that a region or an edge trusts, each for named properties."""

    keys: tuple[TrustedKey, ...]
    _by_id: dict[bytes, tuple[Ed25519PublicKey, frozenset[str]]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for key in self.keys:
            raw = bytes.fromhex(key.public_key)
            public = Ed25519PublicKey.from_public_bytes(raw)
            name = key_id(raw)
            _, known = self._by_id.get(name, (public, frozenset[str]()))
            self._by_id[name] = (public, known | frozenset(key.properties))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON list of trusted keys; :class:`InputError` says what is wrong with it."""
        try:
            return cls(tuple(msgspec.json.decode(path.read_bytes(), type=list[TrustedKey])))
        except OSError as error:
            raise InputError(f"{path}: cannot read trusted keys: {error.strerror}") from error
        except UNREADABLE as error:
            raise InputError(f"{path}: not a list of trusted keys: {error}") from error

    def write(self, path: Path) -> None:
        write_file(path, msgspec.json.format(msgspec.json.encode(self.keys)))

    def trusts(self, key_id: bytes, property: str) -> bool:
        """Whether the key of that id may sign for ``property``."""
        known = self._by_id.get(key_id)
        return known is not None and property in known[1]

    def open(self, signed: bytes, property: str) -> bytes:
        """The body of ``signed`` if a key allowed for ``property`` signed it.

        Raises :class:`MalformedRecord`, :class:`KeyNotAllowed` or :class:`BadSignature`.
        """
        envelope = Envelope.parse(signed)
        public, properties = self._by_id.get(envelope.key_id, (None, frozenset[str]()))
        if public is None or property not in properties:
            name = envelope.key_id.hex()
            raise KeyNotAllowed(f"signing key {name} is not trusted for property {property!r}")
        try:
            public.verify(envelope.signature, envelope.body)
        except InvalidSignature as error:
            raise BadSignature("the signature does not fit the record") from error
        return envelope.body


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise InputError(
                    f"{path}: mode {mode:04o} lets others read the signing key; chmod 600"
                )
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot read the signing key: {error.strerror}") from error
