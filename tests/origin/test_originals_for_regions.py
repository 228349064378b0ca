"""Originals by asset key over HTTP, for regions that keep a replica of them."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from kvsync.replica import original_path
from origin.approved import Approved
from origin.sync.tokens import admit
from origin.workplace import Workplace
from tests.origin.region_by_hand import Region
from tests.origin.running import running_origin

RED = "/rumba/red-white.jpg"


@pytest.fixture
def region(
    environment: None, place: Workplace, free_port: int, approve_all: Callable[[], list[Approved]]
) -> Iterator[Region]:
    """One that serves ``rumba``, of which all originals are known."""
    approve_all()
    with running_origin(free_port) as web:
        yield Region(
            place, web, "asia-east", admit(place.settings.region_tokens, "asia-east", ["rumba"])
        )


def path_of(place: Workplace, path: str = RED) -> str:
    return original_path("rumba", place.site.request(path).key)


def test_a_region_gets_an_original_by_its_asset_s_key(place: Workplace, region: Region) -> None:
    info, body = place.site.dam.open("red-white.jpg")
    answer = region.get(path_of(place))
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["etag"] == info.etag
    counted = region.web.get("/metrics").text
    assert f'origin_bytes_total{{kind="original"}} {float(len(body))}' in counted


def test_it_goes_on_in_the_same_original_only(place: Workplace, region: Region) -> None:
    info, body = place.site.dam.open("red-white.jpg")
    half = {"range": "bytes=100-", "if-range": info.etag}
    for fields, expected in (
        (half, (206, body[100:])),
        ({**half, "if-range": '"other"'}, (200, body)),
        ({"range": "bytes=100-"}, (200, body)),
        ({**half, "range": "bytes=-100"}, (200, body)),
        ({**half, "range": f"bytes={len(body)}-"}, (200, body)),
        ({**half, "range": "pages=1-"}, (200, body)),
    ):
        headers = {**region.authorization, **fields}
        answer = region.web.get(path_of(place), headers=headers)
        assert (answer.status_code, answer.content) == expected, fields
    answer = region.web.get(path_of(place), headers={**region.authorization, **half})
    assert answer.headers["content-range"] == f"bytes 100-{len(body) - 1}/{len(body)}"


def test_nobody_else_gets_any(place: Workplace, region: Region) -> None:
    assert region.web.get(path_of(place)).status_code == 403
    other = admit(place.settings.region_tokens, "us-east", ["hats"])
    headers = {"authorization": f"Bearer {other}"}
    assert region.web.get(path_of(place), headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/originals/rumba/" + "00" * 16, 404), ("/v1/originals/rumba/xyz", 400)],
)
def test_what_is_no_asset_is_said(region: Region, path: str, status: int) -> None:
    assert region.get(path).status_code == status


def test_an_original_that_is_gone_is_not_found(place: Workplace, region: Region) -> None:
    (place.site.dam.root / "red-white.jpg").unlink()  # type: ignore[attr-defined]
    answer: httpx2.Response = region.get(path_of(place))
    assert answer.status_code == 404
