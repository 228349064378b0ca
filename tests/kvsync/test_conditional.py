"""Conditional requests as RFC 9110 section 13 has them."""

from datetime import UTC, datetime

import pytest

from kvsync.conditional import Conditions, http_date, not_modified

MODIFIED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SAME = "Sun, 01 Mar 2026 12:00:00 GMT"


def test_dates_are_written_as_http_has_them() -> None:
    assert http_date(MODIFIED.timestamp()) == SAME


@pytest.mark.parametrize(
    ("if_none_match", "since", "unmodified"),
    [
        (None, None, False),
        ('"a"', None, True),
        ('W/"a"', None, True),
        ('"x", "a"', None, True),
        ("*", None, True),
        ('"x"', None, False),
        ('"x"', SAME, False),
        (None, SAME, True),
        (None, "Sun, 01 Mar 2026 12:00:01 GMT", True),
        (None, "Sun, 01 Mar 2026 11:59:59 GMT", False),
        (None, "Sun, 01 Mar 2026 12:00:00 -0000", True),
        (None, "yesterday", False),
        (None, "", False),
    ],
)
def test_when_304_is_the_answer(if_none_match: str, since: str, unmodified: bool) -> None:
    assert not_modified(Conditions(if_none_match, since), '"a"', SAME) is unmodified
