"""Whether and how long a response is kept: RFC 9111 sections 3 and 4, 5861, 9213."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.rules.fields import directives, elements, seconds
from edge.rules.keeping import Custom, Exchange, Terms, initial_age, one_age, terms
from edge.rules.stored import Fields
from edge.rules.structured import parse_dictionary

NOW = 1_760_000_000.0
GRACE = Custom(on_error_s=600)


def date(offset_s: float = 0) -> str:
    return formatdate(NOW + offset_s, usegmt=True)


def exchange(
    *fields: tuple[str, str], status: int = 200, authorized: bool = False, no_store: bool = False
) -> Exchange:
    return Exchange("GET", authorized, no_store, status, fields, NOW, NOW)


def keep(*fields: tuple[str, str], custom: Custom = GRACE, status: int = 200) -> Terms | None:
    return terms(exchange(*fields, status=status), custom)


def cc(value: str) -> tuple[str, str]:
    return ("cache-control", value)


@pytest.mark.parametrize(
    ("fields", "fresh_s", "on_error_s"),
    [
        ([cc("public, max-age=60")], 60, 660),
        ([cc("max-age=60, s-maxage=90")], 90, None),
        ([cc("max-age=60"), cc("s-maxage=1")], 1, None),
        ([cc("max-age=60, max-age=90")], 60, 660),
        ([cc("max-age=60"), ("cdn-cache-control", "max-age=5")], 5, 605),
        ([cc("no-store"), ("cdn-cache-control", "max-age=5")], 5, 605),
        ([cc("max-age=60"), ("cdn-cache-control", "max-age=5, ")], 60, 660),
        ([cc("max-age=60"), ("cdn-cache-control", "")], 60, 660),
        ([cc("max-age=60"), ("cdn-cache-control", "Max-Age=5")], 60, 660),
        ([("expires", date(9)), ("cdn-cache-control", "max-age=5;x=1")], 5, 605),
        ([cc("max-age=60, must-revalidate")], 60, None),
        ([cc("max-age=60, proxy-revalidate, stale-if-error=9")], 60, None),
        ([cc("max-age=60, stale-if-error=5")], 60, 65),
        ([cc('max-age="60"')], 60, 660),
        ([cc("max-age=003600")], 3600, 4200),
        ([cc("max-age=99999999999")], 2**31, 2**31 + 600),
        ([cc("max-age=60, ext=\"no-store, max-age=1\"")], 60, 660),
        ([("expires", date(30)), ("date", date())], 30, 630),
        ([("expires", date(30))], 30, 630),
        ([("expires", date(30)), ("date", "no day")], 30, 630),
        ([cc("max-age=60"), ("expires", "0")], 60, 660),
        ([cc("max-age=60"), ("age", "20")], 40, 640),
        ([cc("no-store, must-understand, max-age=60")], 60, 660),
    ],
)  # fmt: skip
def test_the_origin_says_how_long(
    fields: list[tuple[str, str]], fresh_s: float, on_error_s: float | None
) -> None:
    kept = keep(*fields)
    assert kept is not None
    assert kept.fresh_until - NOW == fresh_s
    assert kept.on_error_until == (0 if on_error_s is None else NOW + on_error_s)


@pytest.mark.parametrize(
    "fields",
    [
        [cc("max-age=60, no-store")],
        [cc("max-age=60, No-StOrE")],
        [cc('max-age=60, x="never closed, no-store')],
        [cc("max-age=60, private")],
        [cc("max-age=60"), ("cdn-cache-control", "no-store")],
        [cc("max-age=60"), ("cdn-cache-control", "private")],
        [cc("max-age=60"), ("set-cookie", "a=b")],
        [cc("max-age=60"), ("vary", "Accept, *")],
        [("content-type", "image/jpeg")],
    ],
)
def test_what_is_not_for_a_shared_cache_is_not_kept(fields: list[tuple[str, str]]) -> None:
    assert keep(*fields) is None


def test_only_a_get_is_kept_and_only_when_its_client_lets_us() -> None:
    fresh = exchange(cc("max-age=60"))
    assert terms(fresh, GRACE) is not None
    assert terms(Exchange("HEAD", *_rest(fresh)), GRACE) is None
    assert terms(exchange(cc("max-age=60"), no_store=True), GRACE) is None


def _rest(told: Exchange) -> tuple[bool, bool, int, Fields, float, float]:
    return False, False, told.status, told.fields, told.asked_at, told.received_at


@pytest.mark.parametrize(
    ("said", "kept"),
    [("public", True), ("s-maxage=9", True), ("must-revalidate", True), ("x", False)],
)
def test_an_answer_to_credentials_is_kept_only_when_it_says_so(said: str, kept: bool) -> None:
    told = exchange(cc(f"max-age=60, {said}"), authorized=True)
    assert (terms(told, GRACE) is not None) is kept


@pytest.mark.parametrize("status", [206, 304, 100])
def test_parts_are_not_kept(status: int) -> None:
    assert keep(cc("max-age=60"), status=status) is None


def test_a_status_that_nobody_knows_is_kept_unless_it_must_be_understood() -> None:
    assert keep(cc("max-age=60"), status=599) is not None
    assert keep(cc("max-age=60, must-understand"), status=599) is None


def test_no_cache_is_kept_to_be_validated_and_never_served_stale() -> None:
    kept = keep(cc("no-cache, max-age=60, stale-while-revalidate=9"), ("etag", '"a"'))
    assert kept is not None
    assert kept.fresh_until <= NOW and kept.on_error_until == kept.revalidating_until == 0
    assert keep(cc("no-cache, max-age=60")) is None, "it could never be used"


def test_qualified_directives_leave_their_fields_out() -> None:
    kept = keep(cc('max-age=60, no-cache="Set-Cookie, A", private="b"'), custom=Custom())
    assert kept is not None and kept.fresh_until == NOW + 60
    assert kept.left_out == {"set-cookie", "a", "b"}


def test_stale_while_revalidate_is_for_who_says_it() -> None:
    assert keep(cc("max-age=60")).revalidating_until == 0  # type: ignore[union-attr]
    kept = keep(cc("max-age=60, stale-while-revalidate=30"))
    assert kept is not None and kept.revalidating_until == NOW + 90


@pytest.mark.parametrize("age", ["abc", "-7200", "7200.0", "0, 0", "3600, 3600", "7;a=b", ""])
def test_an_age_that_cannot_be_read_may_be_any_age(age: str) -> None:
    told = exchange(cc("max-age=36000"), ("age", age), ("etag", '"a"'))
    kept = terms(told, Custom())
    assert kept is not None and kept.fresh_until <= NOW
    assert not one_age(told.fields)


def test_age_on_arrival() -> None:
    sent: Fields = (("date", date(-20)), ("age", "30"))
    assert initial_age(sent, NOW - 2, NOW) == 32
    assert initial_age((("date", date(-20)),), NOW, NOW) == 20
    assert initial_age((("date", date(99)),), NOW, NOW) == 0
    assert initial_age((("age", "7200, 0"),), NOW, NOW) == 7200


def test_nothing_is_guessed_unless_set() -> None:
    changed = ("last-modified", date(-1000))
    assert keep(changed, custom=Custom()).fresh_until == NOW  # type: ignore[union-attr]
    guess = Custom(heuristic_share=0.1, heuristic_limit_s=50)
    assert keep(changed, ("date", date()), custom=guess).fresh_until == NOW + 50  # type: ignore[union-attr]
    assert keep(changed, custom=guess, status=503) is None
    unknown = keep(changed, cc("public"), custom=guess, status=599)
    assert unknown is not None and unknown.fresh_until == NOW + 50


def test_there_is_nothing_is_kept_briefly_and_not_by_all_equally_long() -> None:
    negative = Custom(negative_s=10)
    ends = {
        terms(exchange(status=404), negative, jitter).fresh_until - NOW  # type: ignore[union-attr]
        for jitter in (0.0, 0.5, 0.99)
    }
    assert len(ends) == 3 and min(ends) == 5 and max(ends) < 10
    assert keep(status=404) is None
    assert keep(cc("max-age=99"), custom=negative, status=404).fresh_until == NOW + 99  # type: ignore[union-attr]
    assert keep(custom=negative, status=500) is None


def test_an_error_stands_in_for_nothing() -> None:
    kept = keep(cc("max-age=60, stale-if-error=60, stale-while-revalidate=60"), status=503)
    assert kept is not None and kept.on_error_until == kept.revalidating_until == 0


DIRECTIVE = st.sampled_from(
    "no-store no-cache private public must-revalidate proxy-revalidate must-understand max-age=60 "
    "max-age=0 max-age=x s-maxage=90 stale-while-revalidate=30 stale-if-error=30 immutable "
    'private="a" no-cache="b" x="max-age=5" max-age="7"'.split()
)
CONTROLS = st.lists(DIRECTIVE, max_size=5).map(", ".join)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            "cache-control cdn-cache-control expires date age last-modified etag vary "
            "set-cookie".split()
        ),
        st.one_of(
            CONTROLS,
            st.integers(-(10**6), 10**6).map(date),
            st.integers(-5, 10**6).map(str),
            st.text(max_size=30),
        ),
    ),
    max_size=6,
).map(tuple)
STATUS = st.sampled_from([200, 203, 204, 206, 301, 302, 304, 404, 410, 500, 503, 599])
CUSTOM = st.builds(
    Custom,
    heuristic_share=st.sampled_from([0.0, 0.1]),
    negative_s=st.sampled_from([0.0, 10.0]),
    on_error_s=st.sampled_from([0.0, 600.0]),
    keeps_cookies=st.booleans(),
)


@given(FIELDS, STATUS, CUSTOM, st.booleans())
def test_terms_always_hold_together(
    fields: Fields, status: int, custom: Custom, authorized: bool
) -> None:
    kept = terms(exchange(*fields, status=status, authorized=authorized), custom)
    if kept is None:
        return
    assert kept.born_at <= NOW, "age is never negative"
    assert status not in (206, 304)
    for until in (kept.revalidating_until, kept.on_error_until):
        assert until == 0 or until >= kept.fresh_until


@given(FIELDS, STATUS, CUSTOM, CONTROLS)
def test_no_store_is_never_kept(fields: Fields, status: int, custom: Custom, others: str) -> None:
    said = others.replace("must-understand", "x")
    plain = tuple(f for f in fields if f[0] not in ("cdn-cache-control", "cache-control"))
    assert terms(exchange(*plain, cc(f"{said}, no-store"), status=status), custom) is None


@given(FIELDS, STATUS, CUSTOM, st.sampled_from(["must-revalidate", "proxy-revalidate", "no-cache"]))
def test_what_must_be_revalidated_is_never_served_stale(
    fields: Fields, status: int, custom: Custom, said: str
) -> None:
    plain = tuple(f for f in fields if f[0] != "cdn-cache-control")
    kept = terms(exchange(cc(said), *plain, status=status), custom)
    assert kept is None or kept.on_error_until == kept.revalidating_until == 0


@given(FIELDS, STATUS, CUSTOM, st.sampled_from(["private", "no-store", "no-cache", "max-age=0"]))
def test_saying_less_never_keeps_more(
    fields: Fields, status: int, custom: Custom, said: str
) -> None:
    """What forbids, put before everything else, never makes a response fresher."""
    plain = tuple(
        (name, value.replace("must-understand", "x"))
        for name, value in fields
        if name != "cdn-cache-control" and not value.startswith("s-maxage")
    )
    without = terms(exchange(*plain, status=status), custom)
    with_it = terms(exchange(cc(said), *plain, status=status), custom)
    if with_it is None or said == "max-age=0":
        return
    assert with_it.fresh_until <= (NOW if without is None else max(NOW, without.fresh_until))


@given(st.text(max_size=200))
def test_any_value_can_be_read(value: str) -> None:
    assert all(name == name.lower() for name in directives(value))
    assert all(element.strip() == element != "" for element in elements(value))
    said = seconds(value)
    assert said is None or 0 <= said <= 2**31
    parse_dictionary(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=60, no-store", {"max-age": "60", "no-store": "?1"}),
        ("a=1 ,\tb;x;y=1.5, c=(1 2;q)", {"a": "1", "b": "?1", "c": "(1 2;q)"}),
        ("a=1, a=2", {"a": "2"}),
        ('a="x,y", b=:aGk=:, c=?0', {"a": '"x,y"', "b": ":aGk=:", "c": "?0"}),
        ("", {}),
        ("a,", None),
        ("A=1", None),
        ("a=1 b=2", None),
        ("a==1", None),
        ("a=60a", None),
    ],
)
def test_a_dictionary_is_one_or_is_ignored(value: str, expected: dict[str, str] | None) -> None:
    assert parse_dictionary(value) == expected
