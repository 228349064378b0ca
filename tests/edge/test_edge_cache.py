"""The cache that the worker processes of a PoP share: what one does, all see at once."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge.cache import ResponseCache, softened
from edge.rules.stored import Cached, Stored, Variants

BODY = bytes(range(256)) * 40
NOW = 1_760_000_000.0


def stored(**changed: float) -> Stored:
    one = Stored(
        status=200,
        head=b"content-type: image/webp\r\n",
        source="rehydrated",
        reason="",
        born_at=NOW,
        fresh_until=NOW + 60,
        revalidating_until=NOW + 90,
        on_error_until=NOW + 660,
        length=len(BODY),
        etag='"v1"',
    )
    return msgspec.structs.replace(one, **changed)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ResponseCache]:
    one = ResponseCache(tmp_path, 1 << 20, 1 << 19)
    yield one
    one.close()


def keep(cache: ResponseCache, key: bytes = b"a", *tags: str) -> bool:
    return cache.put(key, stored(), BODY, tags, cache.mark())


def found(cache: ResponseCache, key: bytes = b"a") -> Cached:
    entry = cache.get(key)
    assert isinstance(entry, Cached)
    return entry


def test_a_response_is_found_as_it_was_kept(cache: ResponseCache) -> None:
    assert cache.get(b"a") is None and keep(cache)
    for _ in range(2):  # from the disk, then from memory
        assert found(cache).stored == stored() and found(cache).body == BODY


def test_a_list_of_variants_is_kept_in_the_same_way(cache: ResponseCache) -> None:
    variants = Variants(b"generation", (("accept",),))
    assert cache.put(b"a", variants, b"", (), cache.mark())
    assert cache.get(b"a") == variants == cache.get(b"a")


@pytest.mark.parametrize(
    "forget",
    [
        lambda cache: cache.drop(b"a"),
        lambda cache: cache.purge(["shop"]),
        lambda cache: cache.clear(),
    ],
)
def test_what_is_in_memory_is_not_served_once_it_is_gone(
    cache: ResponseCache, forget: Callable[[ResponseCache], object]
) -> None:
    keep(cache, b"a", "shop")
    found(cache)
    forget(cache)
    assert cache.get(b"a") is None and cache.held_bytes == 0


def test_what_is_in_memory_is_served_through_changes_of_others(cache: ResponseCache) -> None:
    keep(cache, b"a")
    first = found(cache)
    keep(cache, b"b")
    assert found(cache) is first
    keep(cache, b"a")
    assert found(cache) is not first


def test_a_soft_purge_makes_it_stale_from_then_on_with_its_graces(cache: ResponseCache) -> None:
    keep(cache, b"a", "shop")
    assert found(cache).stored.fresh_until == NOW + 60
    assert cache.purge(["shop"], soft_at=NOW + 10) == 1
    after = found(cache).stored
    assert after.fresh_until == NOW + 10
    assert after.revalidating_until == NOW + 40 and after.on_error_until == NOW + 610


def test_a_soft_purge_gives_no_grace_that_there_was_none_of() -> None:
    after = softened(stored(revalidating_until=0.0, on_error_until=0.0), NOW + 10)
    assert max(after.revalidating_until, after.on_error_until) < NOW


def test_a_soft_purge_never_makes_a_stale_response_fresher() -> None:
    assert softened(stored(), NOW + 100) == stored()


def test_what_was_asked_for_before_a_purge_is_not_kept(cache: ResponseCache) -> None:
    begun = cache.mark()
    cache.purge(["shop"])
    assert not cache.put(b"a", stored(), BODY, ["shop"], begun) and cache.get(b"a") is None


def test_memory_is_bounded(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path, 16 << 20, 10 * len(BODY))
    for number in range(100):
        keep(cache, b"%d" % number)
        found(cache, b"%d" % number)
    assert 8 * len(BODY) < cache.held_bytes <= 10 * len(BODY)
    large = b"x" * 2 * len(BODY)
    cache.put(b"large", stored(), large, (), cache.mark())
    assert found(cache, b"large").body == large and cache.held_bytes <= 10 * len(BODY)
    cache.close()


def test_an_entry_that_cannot_be_read_is_a_miss_and_counted(cache: ResponseCache) -> None:
    cache._blobs.put(b"1:a", b"\0\0\0\2no such thing")
    assert cache.get(b"a") is None and cache.faults == 1


OTHER_WORKER = """
import sys
from pathlib import Path
from edge.cache import ResponseCache
cache = ResponseCache(Path(sys.argv[1]), 1 << 20, 1 << 19)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


def test_a_purge_by_one_worker_counts_in_the_memory_of_the_others(
    cache: ResponseCache, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", OTHER_WORKER, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as other:

        def ask(call: str) -> str:
            assert other.stdin and other.stdout
            other.stdin.write(call + "\n")
            return other.stdout.readline().strip()

        assert ask("cache.get(b'a')") == "None"
        keep(cache, b"a", "shop")
        assert ask("len(cache.get(b'a').body)") == str(len(BODY)) and ask("cache.held_bytes") != "0"
        cache.purge(["shop"])
        assert ask("cache.get(b'a')") == "None"
        keep(cache, b"a", "shop")
        found(cache)
        assert ask("cache.purge(['shop'], soft_at=1.0)") == "1"
        assert found(cache).stored.fresh_until == 1.0
        assert other.stdin
        other.stdin.close()
