"""A cache of one URL, driven by the pure decisions alone through whatever may happen to it."""

from dataclasses import dataclass, field
from email.utils import formatdate

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ask import Ask, read_ask
from edge.decide import (
    PASSED_THROUGH,
    AskStore,
    Fail,
    Serve,
    after_cache,
    after_origin,
)
from edge.forward import to_fill
from edge.reply import Fetched
from edge.respond import Answer, Travel, respond
from edge.rules.fields import joined
from edge.rules.keeping import policy_of
from edge.rules.stored import Cached, Fields
from edge.rules.vary import fits
from kvsync.errors import OriginUnavailable, RehydrationError
from kvsync.property import Caching, Property

START = 1_760_000_000.0
SITE = Property(id="plain", hosts=("localhost",), pass_through=True, caching=Caching(negative_s=5))
NEVER_STALE = {"must-revalidate", "proxy-revalidate", "s-maxage", "no-cache"}
SAID = st.sampled_from(
    "max-age=60|max-age=60, must-revalidate|s-maxage=30|no-cache|no-store|private|max-age=0|"
    "max-age=10, stale-while-revalidate=20|max-age=10, stale-if-error=30|"
    "max-age=60, proxy-revalidate, stale-if-error=99||public|max-age=20, stale-if-error=0".split(
        "|"
    )
)


@dataclass(frozen=True)
class Moment:
    """What the origin is like at a request, and who asks how long after the last one."""

    seconds: float
    says: str
    changes: bool
    is_there: bool
    in_trouble: bool
    varies: bool
    language: str
    tag: bool
    held: bool


@dataclass
class Life:
    now: float = START
    version: int = 0
    kept: dict[str, Cached] = field(default_factory=dict)

    def live(self, moment: Moment) -> None:
        self.now += moment.seconds
        self.version += moment.changes
        headers = [(b"host", b"localhost"), (b"accept-language", moment.language.encode())]
        if moment.held:
            headers.append((b"if-none-match", b'"v%d"' % self.version))
        ask = read_ask("GET", b"/a", headers, {"localhost": SITE})
        there = self.kept.get("url")
        selected = there if there is not None and fits(there.stored, ask.sends) else None
        step = after_cache(selected, ask, self.now)
        if isinstance(step, AskStore):
            step = self._asked(ask, step, moment)
        if isinstance(step, Serve):
            self._served(step, ask)

    def _asked(self, ask: Ask, miss: AskStore, moment: Moment) -> Serve | Fail:
        sent = to_fill(ask, "edge", miss.stand_in.stored if miss.stand_in else None)
        step = after_origin(
            self._origin(moment, sent.fields),
            ask,
            PASSED_THROUGH,
            miss,
            sent,
            now=self.now,
            stale_if_error_s=15,
            jitter=0.5,
        )
        assert isinstance(step, Serve | Fail)
        if isinstance(step, Serve):
            if step.drop:
                self.kept.clear()
            if step.keep is not None:
                self.kept["url"] = step.keep
                rules, _ = policy_of(step.keep.stored.fields)
                assert not rules.keys() & {"no-store", "private"}
                assert step.keep.stored.born_at <= self.now
        return step

    def _origin(self, moment: Moment, sent: Fields) -> Fetched | RehydrationError:
        if not moment.is_there:
            return OriginUnavailable("gone")
        tag = f'"v{self.version}"'
        fields: Fields = (("date", formatdate(self.now, usegmt=True)),)
        if moment.says:
            fields += (("cache-control", moment.says),)
        if moment.varies:
            fields += (("vary", "Accept-Language"),)
        if moment.in_trouble:
            return Fetched(503, fields, b"sorry", self.now, self.now)
        if joined(sent, "if-none-match") == tag:
            # Some servers confirm under another tag: the bytes are those of the old one.
            fields += (("etag", '"another"'),) if moment.tag else ()
            return Fetched(304, fields, b"", self.now, self.now)
        if moment.tag:
            fields += (("etag", tag),)
        return Fetched(200, fields, b"v%d" % self.version, self.now, self.now)

    def _served(self, step: Serve, ask: Ask) -> None:
        stored, body = step.cached.stored, bytes(step.cached.body)
        answer = respond(step, ask, Travel(), node="edge", now=self.now)
        if step.outcome == "hit":
            assert self.now < stored.fresh_until
        if step.outcome == "stale":
            assert NEVER_STALE.isdisjoint(policy_of(stored.fields)[0])
            assert self.now < max(stored.on_error_until, stored.revalidating_until)
        if stored.etag is not None:
            assert stored.etag == f'"{body.decode()}"', "a tag is of its own bytes"
        assert fits(stored, ask.sends)
        assert _age(answer) >= 0
        assert (answer.status == 304) <= (len(answer.body) == 0)
        if answer.status == 304:
            assert stored.etag == ask.fields["if-none-match"]


def _age(answer: Answer) -> int:
    return int(dict(answer.headers)[b"age"])


@given(
    st.lists(
        st.builds(
            Moment,
            seconds=st.sampled_from([0.0, 0.4, 5.0, 12.0, 40.0, 100.0]),
            says=SAID,
            changes=st.booleans(),
            is_there=st.sampled_from([True, True, True, False]),
            in_trouble=st.sampled_from([False, False, False, True]),
            varies=st.booleans(),
            language=st.sampled_from(["de", "en", "DE;q=1"]),
            tag=st.booleans(),
            held=st.booleans(),
        ),
        max_size=12,
    )
)
@settings(max_examples=200, deadline=None)
def test_no_life_of_a_cache_breaks_a_rule(moments: list[Moment]) -> None:
    life = Life()
    for moment in moments:
        life.live(moment)
