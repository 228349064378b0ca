"""A set goes to one region first, then everywhere or back: what becomes of records and the log."""

from collections.abc import Callable, Iterator

import pytest

from kvsync.errors import InputError
from kvsync.log import Bury, Canary, Put
from origin.console import publishing
from origin.console.accounts import Person
from origin.console.decisions import decide
from origin.console.desk import Desk
from origin.console.queue import Wanted, page_of
from origin.console.tables import Role
from origin.sync.outbox import entry_of
from origin.sync.tokens import admit
from origin.tables import LogEntryRow
from tests.origin.console.visitor import Visitor

RED = "/rumba/rumba_red_white_front.jpg"
HERE = "asia-east"


@pytest.fixture
def judge(drawn: Desk, person: Callable[[Role], Person]) -> Iterator[Person]:
    """An approver who has approved one picture, where a region was admitted."""
    tokens = drawn.origin.region_tokens
    admit(tokens, HERE, ["rumba"])
    rows = page_of(drawn, Wanted("rumba"), 1).rows
    (one,) = [row for row in rows if row.asset.path == RED]
    decide(drawn, one.id, "approved", "", person("approver"))
    yield person("approver")
    tokens.unlink()


def log_of(desk: Desk) -> list[type]:
    with desk.database.reading() as session:
        rows = session.query(LogEntryRow).where(LogEntryRow.key.is_not(None)).order_by("seq").all()
    return [type(entry_of(row.seq, row.tag, row.key, row.content)) for row in rows]


def begin(desk: Desk, judge: Person) -> int:
    outcome = publishing.publish(desk, "rumba", None, judge, HERE)
    assert outcome.number is not None and outcome.published.signed == [RED]
    return outcome.number


def test_a_canary_goes_everywhere_just_as_it_was_tried(desk: Desk, judge: Person) -> None:
    number = begin(desk, judge)
    refused = publishing.publish(desk, "rumba", None, judge).published.refused
    assert "it is a canary" in refused[RED]
    assert publishing.go_everywhere(desk, number, judge).published.signed == [RED]
    assert log_of(desk) == [Canary, Put]
    with pytest.raises(InputError, match="no canary any more"):
        publishing.go_everywhere(desk, number, judge)


def test_taken_back_where_nothing_was_before_the_origin_serves(desk: Desk, judge: Person) -> None:
    number = begin(desk, judge)
    assert publishing.roll_back(desk, number, judge)[:2] == (0, 1)
    assert log_of(desk) == [Canary, Bury]


def test_revoked_a_canary_cannot_go_everywhere(desk: Desk, judge: Person) -> None:
    number = begin(desk, judge)
    assert publishing.revoke(desk, "rumba", RED, "", "a test", judge).now == [RED]
    assert log_of(desk) == [Canary, Bury]
    with pytest.raises(InputError, match="revoked or published anew since"):
        publishing.go_everywhere(desk, number, judge)


def test_a_region_that_was_not_admitted_is_refused(desk: Desk, judge: Person) -> None:
    with pytest.raises(InputError, match="there is asia-east"):
        publishing.publish(desk, "rumba", None, judge, "atlantis")
    assert log_of(desk) == []


def test_the_page_says_what_is_tried_where(
    desk: Desk, judge: Person, logged_in: Callable[[Role], Visitor]
) -> None:
    begin(desk, judge)
    shown = logged_in("approver").get("/p/rumba/live").text
    assert f"is in {HERE} only" in shown and "Put it everywhere" in shown
    assert "Put it everywhere" not in logged_in("viewer").get("/p/rumba/live").text
