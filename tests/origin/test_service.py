"""The origin's service over real HTTP: originals, models, operations, the shop's files."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from kvsync.model import ModelAnnouncement
from kvsync.signing import Keyring
from origin.publish import Publisher
from origin.workplace import Workplace
from tests.origin.running import running_origin

RED = "/rumba/red-white.jpg"


@pytest.fixture
def web(environment: None, free_port: int) -> Iterator[httpx2.Client]:
    """A client of the service, which runs on a port of its own."""
    with running_origin(free_port) as client:
        yield client


def test_an_original_comes_with_its_validators_and_the_propertys_headers(
    web: httpx2.Client, place: Workplace, gallery: Path
) -> None:
    answer = web.get(RED)
    assert answer.status_code == 200
    assert answer.content == (gallery / "pictures" / "red-white.jpg").read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["etag"] == place.site.dam.stat("red-white.jpg").etag
    key = place.site.request(RED).key.hex()
    for name, value in place.site.rules.image_headers("squares", key).items():
        assert answer.headers[name] == value
    assert answer.headers["surrogate-key"] == f"rumba squares {key}"


def test_head_has_the_same_headers_and_no_body(web: httpx2.Client) -> None:
    get, head = web.get(RED), web.head(RED)
    assert head.content == b"" and head.status_code == 200
    assert dict(head.headers) | {"date": ""} == dict(get.headers) | {"date": ""}


def test_a_validator_that_still_holds_is_answered_304(web: httpx2.Client) -> None:
    first = web.get(RED)
    for condition in (
        {"if-none-match": first.headers["etag"]},
        {"if-modified-since": first.headers["last-modified"]},
    ):
        again = web.get(RED, headers=condition)
        assert again.status_code == 304 and again.content == b""
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]


def test_a_changed_original_is_sent_in_full(web: httpx2.Client, gallery: Path) -> None:
    first = web.get(RED)
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"new picture")
    again = web.get(RED, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (200, b"new picture")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/rumba/none.jpg", 404),
        ("/hats/red.jpg", 404),
        ("/rumba/%2e%2e/manifest.json", 400),
        ("/rumba/..%2Fmanifest.json", 400),
        ("/rumba/red-white.jpg%00", 400),
        ("/rumba/red-white.jpg?token=1", 400),
        ("/rumba/" + "a" * 9000, 414),
        ("/_shop/../service.py", 404),
        ("/_shop/pages.py", 404),
        ("/v1/models/zz", 404),
        ("/v1/models/" + "00" * 32, 404),
    ],
)
def test_what_is_wrong_is_said_and_never_kept(web: httpx2.Client, target: str, status: int) -> None:
    answer = web.get(target)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "detail"}


def test_other_methods_are_refused(web: httpx2.Client) -> None:
    answer = web.post(RED)
    assert answer.status_code == 405 and answer.headers["allow"]
    assert answer.json()["error"] == "method" and "POST" in answer.json()["detail"]


def test_a_model_is_announced_and_served_file_by_file(
    web: httpx2.Client, place: Workplace, model: Path
) -> None:
    publisher = Publisher(place.site, place.database, place.models, place.key)
    digest = publisher.add_model(model, "squares")
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    signed = web.get(f"/v1/models/{digest.hex()}").content
    announced = ModelAnnouncement.from_signed(signed, keys, property="rumba", digest=digest)
    assert announced.family == "squares"
    for file in announced.manifest.files:
        answer = web.get(f"/v1/models/{digest.hex()}/{file.path}")
        assert answer.content == (model / file.path).read_bytes()
    assert web.get(f"/v1/models/{digest.hex()}/other.json").status_code == 404
    assert web.get(f"/v1/models/{digest.hex()}/%2e%2e/keys").status_code == 404


def test_bytes_are_counted_by_kind(web: httpx2.Client) -> None:
    size = len(web.get(RED).content)
    web.head(RED)
    metrics = web.get("/metrics").text
    assert f'origin_bytes_total{{kind="image"}} {float(size)}' in metrics
    assert 'origin_answers_total{kind="image",status="200"} 2.0' in metrics


def test_it_says_that_it_lives_and_is_ready(web: httpx2.Client) -> None:
    assert web.get("/healthz").json() == {"status": "ok"}
    ready = web.get("/readyz").json()
    assert ready["status"] == "ready" and ready["log"] == "sealed"


def test_the_page_shows_every_picture_by_its_own_sites_address(web: httpx2.Client) -> None:
    page = web.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert set(re.findall(r'data-src="([^"]+)"', page.text)) == {
        f"/rumba/{ink}-{paper}.jpg" for ink in ("red", "blue") for paper in ("white", "grey")
    }
    assert 'alt="Squares, red ink, white paper"' in page.text
    outside = re.findall(r'(?:src|href)="(https?://[^"]+)"', page.text)
    assert outside == []


def test_the_page_and_its_files_are_asked_for_again_cheaply(web: httpx2.Client) -> None:
    for path in ("/", "/_shop/shop.css", "/_shop/shop.js"):
        first = web.get(path)
        assert first.status_code == 200 and first.headers["cache-control"] == "no-cache"
        again = web.get(path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304


def test_the_process_imports_no_torch(environment: None) -> None:
    program = (
        "import sys\n"
        "from origin.service import create_app\n"
        "from origin.settings import read_settings\n"
        "create_app(read_settings())\n"
        "sys.exit('torch' in sys.modules or 'boto3' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DAM", "rumba=folder:/none/at/all", "no such folder of originals"),
        ("DAM", "hats=folder:.", "names the property 'hats'"),
        ("DAM", "rumba", "write property=value"),
        ("PORT", "eighty", "ORIGIN_PORT"),
        ("PROPERTIES_DIR", "/none/at/all", "no property file"),
        ("GALLERIES", "rumba=/none/at/all", "cannot read the gallery's manifest"),
        ("DATABASE_URL", "sqlite:////proc/none/origin.db", "cannot open the database"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_line(
    environment: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"ORIGIN_{name}", value)
    done = subprocess.run([sys.executable, "-m", "origin"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and says in done.stderr, done.stderr


def test_a_busy_port_ends_the_start_with_one_line(
    web: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORIGIN_PORT", str(web.base_url.port))
    done = subprocess.run([sys.executable, "-m", "origin", "serve"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "cannot listen there" in done.stderr
