"""The variants that clients can make the edge ask for and keep: a closed set, per property."""

from hypothesis import given
from hypothesis import strategies as st

from edge.ask import read_ask
from kvsync.errors import BadRequest
from kvsync.property import hosts_to_properties, read_property
from tests.edge.world import PROPERTY_FILE

SITE = read_property(PROPERTY_FILE)
BY_HOST = hosts_to_properties([SITE])
RULES = SITE.renditions
OWN = {rule.quality for rule in RULES.formats}
values = st.one_of(
    st.integers(-10, 10**12).map(str),
    st.sampled_from(["avif", "webp", "jpeg", "exe", "AVIF", "", "%00", "1e3", "٣", "0x10"]),
    st.text("0123456789.-+ abc", max_size=12),
)
queries = st.lists(st.tuples(st.sampled_from(["w", "q", "fm", "utm", "W"]), values), max_size=5)
accepts = st.one_of(
    st.text("image/avfwebpjg*;,=q.01 ", max_size=60),
    st.sampled_from(["image/avif,image/webp", "*/*", "image/*;q=0.1", ""]),
)


@given(queries, accepts)
def test_no_request_makes_a_rendition_outside_the_property_s_set(
    query: list[tuple[str, str]], accept: str
) -> None:
    target = "/a.jpg?" + "&".join(f"{name}={value}" for name, value in query)
    headers = [(b"host", b"localhost"), (b"accept", accept.encode())]
    try:
        ask = read_ask("GET", target.encode(), headers, BY_HOST)
    except BadRequest:
        return
    assert ask.choice is not None
    wanted = ask.choice.rendition
    assert wanted.format in {rule.format for rule in RULES.formats}
    assert wanted.width in RULES.widths
    assert wanted.quality in {*RULES.qualities, *OWN}


@given(queries)
def test_what_names_no_rendition_changes_nothing(query: list[tuple[str, str]]) -> None:
    ignored = "&".join(f"{name}x={value.replace('%', '')}" for name, value in query)
    headers = [(b"host", b"localhost")]
    plain = read_ask("GET", b"/a.jpg", headers, BY_HOST)
    asked = read_ask("GET", f"/a.jpg?{ignored}".encode(), headers, BY_HOST)
    assert asked.cache_key == plain.cache_key and asked.origin_target == plain.origin_target
