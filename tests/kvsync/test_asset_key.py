"""The asset key: every rule pinned, and what must hold for any request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvsync.errors import BadRequest, PathTooLong
from kvsync.key import MAX_TARGET_BYTES, AssetRequest, asset_key, canonical_path, read_request
from kvsync.property import Property
from tests.kvsync.golden import KEYS


def ask(site: Property, target: str | bytes) -> AssetRequest:
    raw = target.encode() if isinstance(target, str) else target
    path, _, query = raw.partition(b"?")
    return read_request(site, path, query)


@pytest.mark.parametrize(("rule", "target", "canonical", "key"), KEYS, ids=[k[0] for k in KEYS])
def test_v1_keys_never_change(
    site: Property, rule: str, target: str, canonical: str, key: str
) -> None:
    found = ask(site, target)
    path, _, query = canonical.partition("?")
    assert found.canonical == f"1\nshop\n{path}\n{query}", rule
    assert found.key.hex() == key


def test_bytes_that_are_not_utf_8_are_kept_as_escapes(site: Property) -> None:
    assert ask(site, b"/\xff.jpg?v=\xfe").canonical == "1\nshop\n/%FF.jpg\nv=%FE"
    assert ask(site, b"/\xff.jpg").key == ask(site, b"/%ff.jpg").key


def test_no_parameter_and_an_empty_one_are_two_assets(site: Property) -> None:
    assert ask(site, "/a.jpg").key != ask(site, "/a.jpg?v").key


def test_renditions_are_read_but_not_in_the_key(site: Property) -> None:
    found = ask(site, "/a.jpg?q=85&w=384&fm=webp")
    assert found.rendition == (("format", "webp"), ("quality", "85"), ("width", "384"))
    assert found.key == ask(site, "/a.jpg").key


@pytest.mark.parametrize(
    "target",
    [
        "/a.jpg?v=1&v=1",
        "/a.jpg?v=1&%76=2",
        "/a.jpg?w=384&width=768",
        "/a.jpg?token=1",
        "/a.jpg?%74oken",
        "/./a.jpg",
        "/a/../b.jpg",
        "/a/..",
        "/%2e%2E/a.jpg",
        "/a/.%2e/b.jpg",
        "/a%2f..%2fb.jpg",
        "/..%5cb.jpg",
        "/..\\b.jpg",
        "/a/..;x/b.jpg",
        "/a%00.jpg",
        "/a%0d%0ab.jpg",
        "/a%7f.jpg",
        "/a.jpg?v=%0a",
        "/a%.jpg",
        "/a%2.jpg",
        "/a%zz.jpg",
        "/a.jpg?v=%",
        "a.jpg",
        "",
        "*",
        "http://shop.example/a.jpg",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(site: Property, target: str) -> None:
    with pytest.raises(BadRequest):
        ask(site, target)


@pytest.mark.parametrize("target", ["/...jpg", "/a..b/c.jpg", "/.well-known/a.jpg", "/a;v=1.jpg"])
def test_dots_inside_a_name_are_a_name(site: Property, target: str) -> None:
    assert ask(site, target).path == target


def test_a_long_target_is_refused_before_it_is_read(site: Property) -> None:
    longest = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert read_request(site, longest).path == longest.decode()
    with pytest.raises(PathTooLong) as caught:
        read_request(site, longest, b"v")
    assert caught.value.status == 414


def test_properties_share_no_key(site: Property) -> None:
    assert asset_key("1\nshop\n/a.jpg\n") != asset_key("1\nshop2\n/a.jpg\n")


names = st.text("abcdefghijklmnopqrstuvxyz0123456789%+ é/", min_size=1, max_size=6)
paths = st.binary(max_size=40).map(lambda tail: b"/" + tail)


@given(paths)
def test_normalising_twice_is_normalising_once(raw: bytes) -> None:
    try:
        once = canonical_path(raw)
    except BadRequest:
        return
    assert once.isascii() and canonical_path(once.encode()) == once


@given(raw_query=st.binary(max_size=60))
def test_a_canonical_query_is_its_own_canonical_form(site: Property, raw_query: bytes) -> None:
    try:
        once = read_request(site, b"/a", raw_query)
    except BadRequest:
        return
    again = read_request(site, b"/a", once.canonical.rpartition("\n")[2].encode())
    assert again.canonical == once.canonical


@given(value=st.binary(max_size=20), place=st.integers(0, 2))
def test_an_ignored_parameter_never_changes_the_key(
    site: Property, value: bytes, place: int
) -> None:
    parts = [b"v=2", b"view=top"]
    parts.insert(place, b"utm=" + value.replace(b"&", b""))
    assert read_request(site, b"/a", b"&".join(parts)).key == ask(site, "/a?v=2&view=top").key


@given(st.permutations([b"v=2", b"view=top", b"w=384", b"utm=1", b"q=85"]))
def test_order_never_matters(site: Property, parts: list[bytes]) -> None:
    found = read_request(site, b"/a", b"&".join(parts))
    assert found == ask(site, "/a?q=85&utm=1&v=2&view=top&w=384")


@given(raw=st.binary(max_size=64), raw_query=st.binary(max_size=64))
def test_no_request_is_more_than_refused(site: Property, raw: bytes, raw_query: bytes) -> None:
    try:
        found = read_request(site, raw, raw_query)
    except BadRequest:
        return
    assert len(found.key) == 16 and found.canonical.count("\n") == 3
