"""Which stored response a request selects, and what a client then gets of it: RFC 9111 section 4,
RFC 9110 sections 13 and 14."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.rules.ranges import Part, part_of, range_applies
from edge.rules.stored import Fields, Stored, Variants, decode, encode, head_of
from edge.rules.validation import freshened, may_answer_304, validators
from edge.rules.vary import (
    MAX_SELECTING,
    fits,
    normalised,
    selected,
    selecting_names,
    variant_key,
    with_selecting,
)
from kvsync.conditional import Conditions

NOW = 1_760_000_000.0
CHANGED = formatdate(NOW - 3000, usegmt=True)
SENT = formatdate(NOW, usegmt=True)
NAMES = st.sampled_from(["accept", "accept-language", "foo", "bar"])
VALUES = st.text(alphabet="abAB ,;=q01.\"'", max_size=12)
REQUEST = st.dictionaries(NAMES, VALUES, max_size=4)


def stored(
    etag: str | None = '"a"',
    last_modified: str | None = CHANGED,
    fields: Fields = (("date", SENT),),
    status: int = 200,
    own_tag: bool = False,
    vary: tuple[tuple[str, str | None], ...] = (),
) -> Stored:
    return Stored(
        status=status,
        head=head_of(fields),
        source="origin",
        reason="",
        born_at=NOW,
        fresh_until=NOW,
        revalidating_until=0,
        on_error_until=0,
        length=10,
        etag=etag,
        last_modified=last_modified,
        vary=vary,
        own_tag=own_tag,
    )


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        ("foo", "1,2", " 1,  2 ", True),
        ("foo", "1, 2", "2, 1", False),
        ("foo", '"1,2"', '"1, 2"', False),
        ("foo", "a", "A", False),
        ("accept-language", "en, de", "de,EN", True),
        ("accept-language", "en;q=1.0, de;q=0.50", "de; q=0.5, en", True),
        ("accept-language", "en;q=0.5", "en;q=0.6", False),
        ("accept-encoding", "gzip, br", "BR, gzip", True),
        ("accept", "image/avif,*/*", "*/*, image/avif", False),
    ],
)
def test_values_that_mean_the_same_are_the_same(
    name: str, one: str, other: str, same: bool
) -> None:
    assert (normalised(name, one) == normalised(name, other)) is same


def test_an_absent_field_is_no_empty_one() -> None:
    assert normalised("foo", None) != normalised("foo", "")
    assert not fits(stored(vary=(("foo", None),)), {"foo": ""}.get)


@given(REQUEST, REQUEST, st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_a_request_that_differs_never_hits(
    one: dict[str, str], other: dict[str, str], names: list[str]
) -> None:
    told: Fields = (("vary", ", ".join(names)),)
    kept = stored(vary=selected(selecting_names(told), one.get))
    same = all(normalised(n, one.get(n)) == normalised(n, other.get(n)) for n in names)
    assert fits(kept, other.get) is same
    keys = [
        variant_key(b"url", b"generation", selected(selecting_names(told), request.get))
        for request in (one, other)
    ]
    assert (keys[0] == keys[1]) is same
    assert variant_key(b"url", b"other", kept.vary) != keys[0], "a list begun anew knows no old one"


def test_an_origin_that_keeps_changing_its_vary_has_few_lists() -> None:
    known: Variants | None = None
    for number in range(10):
        known = with_selecting(known, (f"x-{number}",), b"new")
    assert known is not None and len(known.selecting) == MAX_SELECTING
    assert known.selecting[0] == ("x-9",)
    assert with_selecting(known, ("x-8",), b"") == Variants(
        b"new", (("x-8",), ("x-9",), ("x-7",), ("x-6",))
    )


def test_an_entry_is_read_as_it_was_written() -> None:
    for entry in (stored(vary=(("foo", None),)), Variants(b"g", (("foo",),))):
        assert decode(memoryview(encode(entry))) == entry
    assert stored().fields == (("date", SENT),)


def test_the_origin_is_asked_by_its_own_validators_only() -> None:
    assert validators(stored()) == (("if-none-match", '"a"'), ("if-modified-since", CHANGED))
    assert validators(stored(own_tag=True)) == (("if-modified-since", CHANGED),)


@pytest.mark.parametrize(
    ("conditions", "by_date", "expected"),
    [
        (Conditions('"a"'), True, True),
        (Conditions('"b", W/"a"'), False, True),
        (Conditions('"b"', CHANGED), True, False),
        (Conditions(None, CHANGED), True, True),
        (Conditions(None, SENT), True, True),
        (Conditions(None, CHANGED), False, False),
        (Conditions(), True, False),
    ],
)
def test_a_client_s_copy_will_do(conditions: Conditions, by_date: bool, expected: bool) -> None:
    assert may_answer_304(stored(), conditions, by_date=by_date) is expected
    assert not may_answer_304(stored(status=404), conditions, by_date=by_date)


def test_a_304_renews_fields_but_not_what_describes_the_bytes() -> None:
    old: Fields = (("etag", '"a"'), ("a", "1"), ("a", "2"), ("b", "1"), ("content-length", "5"))
    news: Fields = (
        *(("etag", '"z"'), ("a", "3"), ("content-length", "9"), ("content-encoding", "br")),
        *(("connection", "c"), ("c", "1"), ("age", "5")),
    )
    assert freshened(old, news) == (
        ("etag", '"a"'),
        ("b", "1"),
        ("content-length", "5"),
        ("a", "3"),
    )


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=5), st.lists(st.tuples(NAMES, VALUES), max_size=5)
)
def test_a_304_never_loses_a_field(old: list[tuple[str, str]], news: list[tuple[str, str]]) -> None:
    renewed = freshened(tuple(old), tuple(news))
    assert {name for name, _ in renewed} == {name for name, _ in (*old, *news)}
    assert [f for f in renewed if f[0] in dict(news)] == news


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-1", (0, 2)),
        ("Bytes=1-", (1, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=9-99", (9, 10)),
        ("bytes= 2-3 ", (2, 4)),
        ("bytes=10-", (10, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=3-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=0-0,0-0,0-0,0-0", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=+1-2", None),
        ("bytes=١-٢", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("", None),
        (None, None),
    ],
)
def test_one_range_is_answered_and_nothing_else(
    asked: str | None, expected: tuple[int, int] | None
) -> None:
    part = part_of(10, asked)
    assert (part and (part.start, part.stop)) == expected


def test_a_range_says_what_it_is_of() -> None:
    assert Part(0, 2, 10).content_range == "bytes 0-1/10"
    assert Part(10, 10, 10).content_range == "bytes */10"


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_slices_make_up_the_body(body: bytes, cuts: list[int]) -> None:
    edges = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    pieces = []
    for start, stop in zip(edges, edges[1:], strict=False):
        part = part_of(len(body), f"bytes={start}-{stop - 1}")
        assert part is not None and part.satisfiable
        pieces.append(body[part.start : part.stop])
    assert b"".join(pieces) == body


@pytest.mark.parametrize(
    ("if_range", "by_date", "expected"),
    [
        (None, False, True),
        ('"a"', False, True),
        ('"b"', True, False),
        ('W/"a"', True, False),
        (CHANGED, True, True),
        (CHANGED, False, False),
        (SENT, True, False),
        ("", True, False),
    ],
)
def test_if_range_compares_strongly(if_range: str | None, by_date: bool, expected: bool) -> None:
    assert range_applies(stored(), if_range, by_date=by_date) is expected
    weak = stored(etag='W/"a"', last_modified=SENT)
    assert range_applies(weak, if_range, by_date=by_date) is (if_range is None)
