"""What unsafe methods make untrue: RFC 9111 section 4.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.rules.invalidation import invalidated

URL = "http://shop.example:8080/a/b?c=d"


@pytest.mark.parametrize(
    ("method", "status", "fields", "expected"),
    [
        ("POST", 200, (), ["/a/b?c=d"]),
        ("M-SEARCH", 303, (), ["/a/b?c=d"]),
        ("PUT", 500, (), []),
        ("DELETE", 404, (), []),
        ("GET", 200, (("location", "/x"),), []),
        ("OPTIONS", 200, (), []),
        ("POST", 201, (("location", "../x?y"),), ["/a/b?c=d", "/x?y"]),
        ("POST", 200, (("content-location", "http://shop.example:8080/z"),), ["/a/b?c=d", "/z"]),
        ("POST", 200, (("location", "http://shop.example/z"),), ["/a/b?c=d"]),
        ("POST", 200, (("location", "https://shop.example:8080/z"),), ["/a/b?c=d"]),
        ("POST", 200, (("location", "//evil.example/z"),), ["/a/b?c=d"]),
        ("POST", 200, (("location", "http://[bad"),), ["/a/b?c=d"]),
        ("POST", 200, (("location", ""), ("content-location", "/q")), ["/a/b?c=d", "/q"]),
    ],
)
def test_an_unsafe_method_makes_untrue(
    method: str, status: int, fields: tuple[tuple[str, str], ...], expected: list[str]
) -> None:
    assert list(invalidated(method, status, URL, fields)) == expected


@given(st.text(max_size=60))
def test_no_location_reaches_another_origin(location: str) -> None:
    targets = invalidated("POST", 200, URL, (("location", location),))
    assert targets[0] == "/a/b?c=d" and len(targets) <= 2
    assert all(target.startswith("/") for target in targets)
