"""A server that speaks TLS: Debian's, since Valkey's wheel is built without."""

import datetime
import ipaddress
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

_START_S = 10


@pytest.fixture(scope="session")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The ``rediss://`` URL of a server whose certificate is checked."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs redis-server (apt-get install redis-server)")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = _self_signed(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (
        *(program, "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port)),
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-auth-clients", "no", "--save", "", "--dir", str(folder)),
    )
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log) as process:
        try:
            patience = Retry(ConstantBackoff(0.1), _START_S * 10)
            with Redis.from_url(url, retry=patience) as client:
                client.ping()
            yield url
        finally:
            process.terminate()


def _self_signed(folder: Path) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "region store")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, None)
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
