"""HTTP dates: RFC 9110 section 5.6.7, RFC 9111 section 4.2."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.rules.dates import read_date

NOW = 1_760_000_000.0
SECONDS = st.integers(0, 253_402_300_799)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("sUN, 06 nOV 1994 08:49:37 gmt", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("Sun, 06 Nov 1994 08:49:60 GMT", 784111799),
        ("Monday, 06-Nov-74 08:49:37 GMT", 3308719777),
        ("Monday, 06-Nov-76 08:49:37 GMT", 216118177),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 AEST", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 94 08:49:37 GMT", None),
        ("Sun 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 8:49:37 GMT", None),
        ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("Sun, 06 Nov 0000 08:49:37 GMT", None),
        ("0", None),
        ("", None),
        (None, None),
    ],
)
def test_three_forms_are_dates_and_nothing_else(value: str | None, seconds: float | None) -> None:
    assert read_date(value, NOW) == seconds


@given(SECONDS)
def test_every_date_that_can_be_written_is_read(seconds: int) -> None:
    assert read_date(formatdate(seconds, usegmt=True), NOW) == seconds
    assert read_date(time.asctime(time.gmtime(seconds)), NOW) == seconds


@given(st.text(max_size=40))
def test_any_text_can_be_read(value: str) -> None:
    assert read_date(value, NOW) is None or value[0].isalpha()
