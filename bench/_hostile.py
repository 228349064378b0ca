"""Requests that no well-behaved client sends: a grammar of HTTP/1.1, its rules broken at random.

One seed gives one sequence of cases, so that a case found is a case repeated.
"""

from collections.abc import Iterator, Sequence
from random import Random

_METHODS = b"HEAD HEAD HEAD POST OPTIONS PUT DELETE PURGE TRACE CONNECT PRI get G\x00T".split()
_PATHS = (
    b"/a.jpg",
    b"/a.jpg",
    b"/caf%C3%A9.jpg",
    b"/cafe%CC%81.jpg",
    b"/a%2Fb.jpg",
    b"/a%2fb.jpg",
    b"/a/../b.jpg",
    b"/a/%2e%2e/b.jpg",
    b"/%2E/a.jpg",
    b"/a%00.jpg",
    b"/a%",
    b"/a%zz",
    b"/a%252e.jpg",
    b"//a.jpg",
    b"/a;b=c.jpg",
    b"/\xff\xfe.jpg",
    b"/a b.jpg",
    b"/a\tb",
    b"*",
    b"",
    b"a.jpg",
    b"http://localhost/a.jpg",
    b"http://other.example/a.jpg",
    b"localhost:80",
    b"/" + b"x" * 9_000,
    b"/a.jpg#fragment",
    b"/..",
    b"/%c0%ae%c0%ae/",
)
_QUERIES = (
    b"",
    b"w=300",
    b"w=300&w=400",
    b"w=-1",
    b"w=99999999999999999999",
    b"w=%D9%A3",
    b"w=3e2",
    b"q=0",
    b"q=101&w=1",
    b"fm=avif",
    b"fm=AVIF",
    b"fm=exe",
    b"fm=%00",
    b"token=1",
    b"&&&",
    b"=&=",
    b"w",
    b"%77=300",
    b"w=3%",
    b"utm=" + b"y" * 4_000,
    b"?w=1;q=2",
    b"w=300+",
)
_VERSIONS = (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.", b"http/1.1", b"", b"HTTP/1.1 x")
_ENDS = (b"\n", b"\r", b"\r\n ", b"\r\r\n", b"\x00\r\n")
_HOSTS = (
    b"localhost:8080",
    b"LOCALHOST.",
    b"other.example",
    b"",
    b"[::1",
    b"a@localhost",
    b"l\x00st",
)
_RANGES = (
    b"bytes=0-",
    b"bytes=0-0",
    b"bytes=-1",
    b"bytes=-0",
    b"bytes=5-2",
    b"bytes=999-",
    b"bytes=1000-",
    b"bytes=0-99999999999999999999999",
    b"bytes=-99999999999999999999999",
    b"bytes=0-1,5-6",
    b"bytes=" + b"0-," * 1_000,
    b"bytes = 0 - 1",
    b"bytes=0-1,",
    b"bytes=",
    b"bytes",
    b"items=0-1",
    b"bytes=\xd9\xa3-",
    b"bytes=+1-2",
    b"bytes=0x0-0x5",
    b"BYTES=0-9",
)
_VALUES = {
    b"range": _RANGES,
    b"if-range": (b'"v1"', b'W/"v1"', b"Thu, 09 Oct 2025 08:53:20 GMT", b"junk", b'"', b""),
    b"if-none-match": (b"*", b'"v1"', b'W/"v1", "b"', b'"a', b"," * 500, b'""', b"\xff"),
    b"if-modified-since": (
        b"Thu, 09 Oct 2025 08:53:20 GMT",
        b"Thu, 99 Oct 2025 88:53:20 GMT",
        b"Thursday, 09-Oct-25 08:53:20 GMT",
        b"Thu Oct  9 08:53:20 99999",
        b"-1",
        b"\xff",
    ),
    b"if-match": (b"*", b'"v1"', b"junk"),
    b"if-unmodified-since": (b"Thu, 09 Oct 2025 08:53:20 GMT", b"0"),
    b"accept": (
        b"image/avif,image/webp",
        b"*/*;q=0",
        b"image/webp;q=1.0001",
        b"image/*;q=,",
        b";;;,,,",
        b"image/avif;q=nan",
        b"a" * 5_000,
        b"\xe9",
    ),
    b"accept-language": (b"en", b"\xff\xfe", b"en;q=\x7f"),
    b"accept-encoding": (b"gzip", b"identity;q=0", b"*;q=0"),
    b"cache-control": (b"no-store", b"only-if-cached", b"max-age=-1", b'a="', b"max-age=9" * 50),
    b"content-length": (b"0", b"5", b"-1", b"0x5", b"5, 5", b"99999999999999999999", b" ", b"+5"),
    b"transfer-encoding": (
        b"chunked",
        b"Chunked",
        b"identity",
        b"chunked, chunked",
        b"\x0bchunked",
    ),
    b"expect": (b"100-continue", b"200-ok"),
    b"connection": (b"close", b"keep-alive", b"upgrade", b"host", b"cache-status, etag"),
    b"upgrade": (b"websocket", b"h2c", b"TLS/1.0"),
    b"http2-settings": (b"AAMAAABkAAQAAP__",),
    b"cookie": (b"a=b", b"=" * 100),
    b"authorization": (b"Basic eA==", b""),
    b"traceparent": (
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-\xff",
        b"0" * 300,
    ),
    b"x-request-id": (b"abc", b"\xff", b"a" * 200, b"a\tb"),
    b"x-forwarded-host": (b"other.example",),
    b"via": (b"1.1 edge-1", b"1.1 " + b"x" * 300),
    b"vary": (b"*",),
    b"x-long": (b"z" * 9_000, b"z" * 70_000),
    b"x-ctl": (b"a\x01b", b"a\x7fb", b"a\rb"),
}
_NAMES = (b"range", b"range", b"if-range", b"accept", *_VALUES)
_BAD_NAMES = (b"bad name", b"bad\x00name", b"")
_BODIES = (b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"\x00" * 50)


def hostile_requests(seed: int) -> Iterator[bytes]:
    """One case after the other, for ever."""
    dice = Random(seed)
    while True:
        yield hostile_request(dice)


def hostile_request(dice: Random) -> bytes:
    """Bytes for a connection of their own, ended by an empty line.

    Most parts of a case are ordinary, so that what is odd gets past the parser to be judged.
    """
    request = _request(dice)
    return _mutated(dice, request) if dice.random() < 0.1 else request


def _request(dice: Random) -> bytes:
    def odd(share: float, ordinary: bytes, others: Sequence[bytes]) -> bytes:
        return dice.choice(others) if dice.random() < share else ordinary

    target = odd(0.4, b"/a.jpg", _PATHS)
    if dice.random() < 0.4:
        target += b"?" + dice.choice(_QUERIES)
    line = b" ".join((odd(0.3, b"GET", _METHODS), target, odd(0.05, b"HTTP/1.1", _VERSIONS)))
    host = dice.choice((b"localhost", b"through.example"))
    hosts = dice.choice((0, 2)) if dice.random() < 0.04 else 1
    fields = [(b"Host", odd(0.08, host, _HOSTS)) for _ in range(hosts)]
    for _ in range(dice.choice((0, 1, 1, 2, 3, 5))):
        name = dice.choice(_BAD_NAMES) if dice.random() < 0.02 else dice.choice(_NAMES)
        repeats = dice.choice((2, 40)) if dice.random() < 0.1 else 1
        values = _VALUES.get(name, (b"x",))
        fields += [(_cased(dice, name), dice.choice(values)) for _ in range(repeats)]
    dice.shuffle(fields)
    head = line + odd(0.02, b"\r\n", _ENDS)
    for name, value in fields:
        head += name + odd(0.02, b": ", (b":", b" : ", b":\t")) + value
        head += odd(0.01, b"\r\n", _ENDS)
    return head + b"\r\n" + odd(0.1, b"", _BODIES)


def _cased(dice: Random, name: bytes) -> bytes:
    return dice.choice((name, name.title(), name.upper()))


def _mutated(dice: Random, request: bytes) -> bytes:
    """Some bytes replaced, dropped or doubled; the end stays an empty line."""
    raw = bytearray(request)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(raw))
        match dice.randrange(3):
            case 0:
                raw[at] = dice.randrange(256)
            case 1:
                del raw[at : at + dice.randint(1, 8)]
            case _:
                raw[at:at] = raw[at : at + dice.randint(1, 40)]
        if not raw:
            break
    return bytes(raw) + b"\r\n\r\n"
