"""Request ids and W3C trace context: well-formed ones go on, others begin here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.trace import read_trace
from tests.edge.world import World

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_client_s_trace_goes_on_with_this_hop_as_parent() -> None:
    onward = dict(read_trace({"traceparent": PARENT, "tracestate": "a=1"}).onward())
    version, trace_id, parent, flags = onward["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE_ID, "01")
    assert parent != "00f067aa0ba902b7" and onward["tracestate"] == "a=1"


@pytest.mark.parametrize(
    "said",
    [
        "",
        PARENT[:-1],
        PARENT.upper(),
        "ff" + PARENT[2:],
        PARENT + "-more",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
    ],
)
def test_a_malformed_trace_is_not_passed_on_nor_its_state(said: str) -> None:
    trace = read_trace({"traceparent": said, "tracestate": "a=1"})
    assert trace.trace_id != TRACE_ID and trace.state == "" and trace.flags == "00"


def test_a_later_version_may_say_more() -> None:
    assert read_trace({"traceparent": "01" + PARENT[2:] + "-more"}).trace_id == TRACE_ID


@given(st.text(max_size=200), st.text(max_size=80))
def test_whatever_a_client_says_what_is_passed_on_is_well_formed(said: str, parent: str) -> None:
    trace = read_trace({"x-request-id": said, "traceparent": parent})
    for _, value in trace.onward():
        assert value.isascii() and value.isprintable() and " " not in value


async def test_region_and_origin_are_told_of_the_trace(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.refusal = (502, "fingerprint")
    await world.get("/a.jpg", x_request_id="abc-1", traceparent=PARENT)
    for told in (world.origin.requests[-1].headers, world.region.told[-1]):
        assert told["x-request-id"] == "abc-1" and TRACE_ID in told["traceparent"]
        assert told["traceparent"] != PARENT


async def test_an_odd_id_is_replaced_and_an_error_tells_which_it_is(world: World) -> None:
    world.origin.kill()
    answer = await world.get("/a.jpg", x_request_id="a b<script>")
    assert answer.status_code == 504 and answer.headers["x-request-id"].isalnum()
    answer = await world.get("/a.jpg", x_request_id="abc-1")
    assert answer.headers["x-request-id"] == "abc-1"


async def test_what_is_no_error_is_the_same_for_everybody(world: World) -> None:
    await world.publish("/a.jpg")
    for _ in range(2):
        assert "x-request-id" not in (await world.get("/a.jpg", x_request_id="abc-1")).headers
