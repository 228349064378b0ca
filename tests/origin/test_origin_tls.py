"""The log over HTTPS: what the origin speaks where not everything is on one machine."""

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kvsync.log_answer import LogAnswer
from origin.sync.tokens import admit
from origin.workplace import Workplace


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for this machine that signed itself; the origin is told of it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "origin")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path, secret = tmp_path / "origin.pem", tmp_path / "origin.key"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("ORIGIN_TLS_CERTIFICATE", str(path))
    monkeypatch.setenv("ORIGIN_TLS_KEY", str(secret))
    return path


@pytest.fixture
def origin(environment: None, certificate: Path, free_port: int) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-m", "origin", "serve"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", free_port)) == 0:
                break
        time.sleep(0.05)
    yield f"https://127.0.0.1:{free_port}"
    process.terminate()
    process.wait(20)


def test_a_region_reads_the_log_over_https(
    origin: str, place: Workplace, certificate: Path
) -> None:
    token = admit(place.settings.region_tokens, "asia-east", ["rumba"])
    trust = ssl.create_default_context(cafile=str(certificate))
    headers = {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=origin, verify=trust, headers=headers, timeout=20) as client:
        deadline = time.monotonic() + 60
        while (answer := client.get("/v1/log/rumba", params={"wait_s": 1})).status_code != 200:
            assert time.monotonic() < deadline, answer.text
        assert len(LogAnswer.decode(answer.content).batches) == 1
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(origin.replace("https", "http") + "/healthz", timeout=5)
