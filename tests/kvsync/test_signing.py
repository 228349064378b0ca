"""Signing keys and keyrings, in memory and in files."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kvsync.errors import BadSignature, InputError, KeyNotAllowed
from kvsync.signing import Envelope, Keyring, SigningKey, TrustedKey, key_id
from tests.kvsync.golden import example_key


def test_v1_envelopes_never_change() -> None:
    signed = example_key().sign(b"body")
    assert signed.hex() == (
        "93c404626f6479c4087751cda99a595122c440"
        "56378141d55f21aaeb7bb2fb17f4572849ec000283e0ca74949542a273122208"
        "66e23e4dbe3c02424b6292b38d08b335dd664726190375b78e8b31b4861bec04"
    )
    assert len(signed) == len(b"body") + 79


def test_a_key_id_is_the_digest_of_the_public_key() -> None:
    key = example_key()
    assert key.key_id == key_id(key.public_key) and len(key.key_id) == 8


def test_a_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"
    first = SigningKey.load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load_or_create(path).public_key == first.public_key
    assert os.listdir(path.parent) == ["signing.pem"]


def test_processes_that_start_together_share_the_first_ones_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kvsync.signing import SigningKey;"
        "print('ready', flush=True); sys.stdin.readline();"
        "print(SigningKey.load_or_create(Path(sys.argv[1])).public_key.hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "signing.pem")]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in started}) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.pem"
    SigningKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(InputError, match=rf"{path}: mode 0{mode:o}.*chmod 600"):
        SigningKey.load_or_create(path)


def pem(private: Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not a plain PEM private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n", "not a plain PEM"),
        (pem(Ed25519PrivateKey.generate(), b"secret"), "not a plain PEM private key"),
        (
            generate_private_key(SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "not an Ed25519 key",
        ),
    ],
)
def test_a_key_file_of_something_else_is_refused(tmp_path: Path, data: bytes, fault: str) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(InputError, match=f"{path}: {fault}"):
        SigningKey.load_or_create(path)


def test_a_key_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir(mode=0o700)
    for path in (tmp_path / "file" / "signing.pem", tmp_path / "folder"):
        with pytest.raises(InputError, match=str(path)):
            SigningKey.load_or_create(path)


def test_a_keyring_is_written_and_read(tmp_path: Path) -> None:
    ring = Keyring((example_key().trusted_for(["shop", "other"]),))
    ring.write(tmp_path / "trusted.json")
    assert Keyring.read(tmp_path / "trusted.json") == ring


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '[{"public_key": "zz", "properties": []}]',
        '[{"public_key": "00ff", "properties": []}]',
        '[{"public_key": "00"}]',
        "[" * 5_000,
        "\udcff",
    ],
)
def test_a_keyring_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trusted.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"{path}: not a list of trusted keys"):
        Keyring.read(path)


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read trusted keys: No such file"):
        Keyring.read(tmp_path / "trusted.json")


def test_a_key_named_twice_is_trusted_for_both(tmp_path: Path) -> None:
    key = example_key()
    ring = Keyring((key.trusted_for(["shop"]), key.trusted_for(["other"])))
    assert ring.open(key.sign(b"body"), "shop") == ring.open(key.sign(b"body"), "other") == b"body"


def test_a_key_is_trusted_for_its_properties_only() -> None:
    old, new = SigningKey.generate(), SigningKey.generate()
    ring = Keyring((old.trusted_for(["shop"]), new.trusted_for(["shop", "other"])))
    assert ring.open(old.sign(b"a"), "shop") == b"a" and ring.open(new.sign(b"b"), "other") == b"b"
    with pytest.raises(KeyNotAllowed, match=f"{old.key_id.hex()} is not trusted for .*'other'"):
        ring.open(old.sign(b"a"), "other")


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_signature_of_any_length_is_only_refused(signature: bytes) -> None:
    key = example_key()
    ring = Keyring((key.trusted_for(["shop"]),))
    with pytest.raises(BadSignature):
        ring.open(msgspec.msgpack.encode(Envelope(b"body", key.key_id, signature)), "shop")


def test_what_follows_the_signature_in_an_envelope_means_nothing() -> None:
    key = example_key()
    ring = Keyring((key.trusted_for(["shop"]),))
    longer = [*msgspec.msgpack.decode(key.sign(b"body")), "unsigned"]
    assert ring.open(msgspec.msgpack.encode(longer), "shop") == b"body"


def test_a_trusted_key_is_its_public_half() -> None:
    key = example_key()
    assert key.trusted_for(["shop"]) == TrustedKey(key.public_key.hex(), ("shop",))
