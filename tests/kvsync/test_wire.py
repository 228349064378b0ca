"""What edge and region say to one another: requests, renditions, error bodies."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.errors import BadRequest, Busy, Unsupported
from kvsync.rendition import Still, parse_rendition
from kvsync.wire import ErrorBody, RehydrateRequest

encode = msgspec.msgpack.encode


def test_a_rehydrate_request_comes_out_as_it_went_in() -> None:
    sent = RehydrateRequest.make("shop", bytes(16), b"signed", Still("webp", 384, 80), 800)
    got = RehydrateRequest.decode(sent.encode())
    assert (got.property, got.key, got.signed, got.deadline_ms) == (
        "shop",
        bytes(16),
        b"signed",
        800,
    )
    assert got.parse_rendition() == Still("webp", 384, 80)


def test_v1_requests_never_change() -> None:
    sent = RehydrateRequest.make("shop", bytes(16), b"s", Still("jpeg", 768, 92), 800)
    assert sent.encode().hex() == (
        "95a473686f70c41000000000000000000000000000000000c40173"
        "94a57374696c6ca46a706567cd03005ccd0320"
    )


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["shop", bytes(15), b"s", None, 800],
        ["shop", bytes(16), "text", None, 800],
        ["shop", bytes(16), b"s", None, -1],
        ["shop", bytes(16), b"s", None, 10**9],
        ["shop", bytes(16), b"s", None, 1.5],
        {"property": "shop"},
    ],
)
def test_a_request_out_of_bounds_is_the_callers_fault(fields: object) -> None:
    with pytest.raises(BadRequest):
        RehydrateRequest.decode(encode(fields))


@given(st.binary(max_size=100) | st.just(b"\x95" + b"\x91" * 3_000))
def test_noise_is_the_callers_fault(data: bytes) -> None:
    with pytest.raises(BadRequest):
        RehydrateRequest.decode(data)


@pytest.mark.parametrize(
    "fields",
    [
        ["still", "jpegxl", 384, 80],
        ["segment", 3],
        ["still", "jpeg", 0, 80],
        ["still", "jpeg", 1 << 20, 80],
        ["still", "jpeg", 384, 0],
        ["still", "jpeg", 384, 101],
        ["still", "jpeg", True, 80],
        ["still", "jpeg"],
        "still",
        None,
    ],
)
def test_a_rendition_that_cannot_be_made_is_unsupported(fields: object) -> None:
    with pytest.raises(Unsupported):
        parse_rendition(encode(fields))


@given(st.binary(max_size=40))
def test_noise_for_a_rendition_is_unsupported(raw: bytes) -> None:
    with pytest.raises(Unsupported):
        parse_rendition(raw)


def test_a_later_versions_rendition_fields_are_ignored() -> None:
    later = encode(["still", "avif", 768, 85, "crop"])
    assert parse_rendition(later) == Still("avif", 768, 85)


def test_a_rendition_knows_its_media_type() -> None:
    assert Still("avif", 768, 85).media_type == "image/avif"


def test_an_error_body_has_the_reason_and_one_line() -> None:
    body = ErrorBody.of(Busy("the queue is full", retry_after_s=2))
    assert msgspec.json.encode(body) == b'{"error":"busy","detail":"the queue is full"}'
