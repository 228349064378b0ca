"""A region tells a running origin what it counted."""

import time
from collections.abc import Iterator

import httpx2
import pytest

from kvsync.ledger import Carried, Minute, encode_minutes
from origin.sync.tokens import admit
from origin.workplace import Workplace, open_workplace
from tests.origin.running import running_origin

START = int(time.time()) // 60 * 60
MINUTES = encode_minutes([Minute("edge-1", START, (Carried("rumba", "sync", 512),))])


@pytest.fixture
def place(environment: None) -> Iterator[Workplace]:
    with open_workplace("rumba") as opened:
        yield opened


@pytest.fixture
def region(place: Workplace, environment: None, free_port: int) -> Iterator[httpx2.Client]:
    token = admit(place.settings.region_tokens, "asia-east", ["rumba"])
    with running_origin(free_port) as client:
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def test_minutes_are_taken_once_and_only_from_the_region_itself(region: httpx2.Client) -> None:
    first = region.post("/v1/ledger/asia-east", content=MINUTES)
    assert (first.status_code, first.json()) == (200, {"taken": 1, "known": 0, "refused": {}})
    again = region.post("/v1/ledger/asia-east", content=MINUTES)
    assert again.json() == {"taken": 0, "known": 1, "refused": {}}
    assert region.post("/v1/ledger/us-east", content=MINUTES).status_code == 403
    stranger = region.post("/v1/ledger/asia-east", content=MINUTES, headers={"authorization": ""})
    assert stranger.status_code == 403


def test_what_is_no_ledger_is_refused(region: httpx2.Client) -> None:
    assert region.post("/v1/ledger/asia-east", content=b"nothing").status_code == 400
    assert region.post("/v1/ledger/asia-east", content=bytes(5 << 20)).status_code in {400, 413}
