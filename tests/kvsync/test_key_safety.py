"""Whatever a client sends becomes one key or a refusal, and saying it twice changes nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.errors import BadRequest, RequestError, UnknownHost
from kvsync.key import canonical_path, read_request
from kvsync.property import Property, hosts_to_properties, property_of_host, read_property

SITE: Property = read_property(Path(__file__).parents[1] / "properties" / "rumba.toml")
BY_HOST = hosts_to_properties([SITE])
targets = st.one_of(
    st.binary(max_size=60),
    st.text("/ab.%2fFeE;\\é\u0301 \t\x00?#", max_size=40).map(lambda text: text.encode()),
)


@given(targets)
def test_a_path_is_normalised_once_and_for_all(raw: bytes) -> None:
    try:
        once = canonical_path(b"/" + raw)
    except BadRequest:
        return
    assert canonical_path(once.encode("ascii")) == once


@given(targets, targets)
def test_any_target_is_a_key_or_a_refusal(path: bytes, query: bytes) -> None:
    try:
        asked = read_request(SITE, b"/" + path, query)
    except RequestError as refused:
        assert 400 <= refused.status < 500
        return
    assert len(asked.key) == 16 and asked.canonical.count("\n") == 3 and asked.canonical.isascii()


@given(st.text("abc/é%", min_size=1, max_size=20))
def test_escaping_what_needs_none_and_the_case_of_escapes_make_no_other_key(text: str) -> None:
    plain = b"/" + text.replace("%", "").encode()
    lower = b"/" + b"".join(b"%%%02x" % byte for byte in plain[1:] if byte != 0x2F)
    upper = b"/" + b"".join(b"%%%02X" % byte for byte in plain[1:] if byte != 0x2F)
    assert read_request(SITE, lower).key == read_request(SITE, upper).key
    if b"/" not in plain[1:]:
        assert read_request(SITE, plain).key == read_request(SITE, lower).key


def test_a_percent_sign_is_decoded_once() -> None:
    assert canonical_path(b"/%2541") == "/%2541" != canonical_path(b"/%41")


def test_composed_and_decomposed_letters_are_two_assets_as_they_are_at_the_origin() -> None:
    composed, decomposed = "/caf\u00e9.jpg".encode(), "/cafe\u0301.jpg".encode()
    assert read_request(SITE, composed).key != read_request(SITE, decomposed).key


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:80", "LOCALHOST", "localhost.", "localhost:"]
)
def test_a_host_is_found_whatever_its_case_port_and_final_dot(host: str) -> None:
    assert property_of_host(host, BY_HOST) is SITE


@given(st.text(max_size=30))
def test_any_other_host_is_refused(host: str) -> None:
    try:
        property_of_host(host, BY_HOST)
    except UnknownHost:
        return
    name = host.lower().rpartition(":")[0] if ":" in host else host.lower()
    assert name.removesuffix(".") in BY_HOST
