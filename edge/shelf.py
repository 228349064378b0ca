"""Where a request's responses lie: in the URL's own place, or each variant in its own."""

import secrets

from edge.ask import Ask
from edge.cache import ResponseCache
from edge.reply import tags_of
from edge.rules.invalidation import invalidated
from edge.rules.stored import Cached, Fields, Variants
from edge.rules.vary import selected, variant_key, with_selecting
from kvsync.errors import RequestError
from kvsync.key import read_whole


def find(cache: ResponseCache, ask: Ask) -> tuple[Cached | None, bool]:
    """The stored response that ``ask`` selects, and whether its URL has others."""
    found = cache.get(ask.cache_key)
    if not isinstance(found, Variants):
        return found, False
    for names in found.selecting:
        values = selected(names, ask.sends)
        variant = cache.get(variant_key(ask.cache_key, found.generation, values))
        if isinstance(variant, Cached):
            return variant, False
    return None, True


def keep(cache: ResponseCache, ask: Ask, cached: Cached, since: int) -> bool:
    """Keep a response for the requests that select it; ``since`` is of ``cache.mark()``."""
    stored, key = cached.stored, ask.cache_key
    tags = tags_of(stored, ask.site, ask.asset.key)
    if not stored.vary:
        return cache.put(key, stored, cached.body, tags, since)
    found = cache.get(key)
    known = found if isinstance(found, Variants) else None
    names = tuple(name for name, _ in stored.vary)
    variants = with_selecting(known, names, secrets.token_bytes(8))
    listed = variants == known or cache.put(
        key, variants, b"", (ask.asset.key.hex(), ask.site.id), since
    )
    at = variant_key(key, variants.generation, stored.vary)
    return listed and cache.put(at, stored, cached.body, tags, since)


def untrue(ask: Ask, status: int, fields: Fields) -> tuple[bytes, ...]:
    """Keys of what an answer to an unsafe method makes untrue (RFC 9111 section 4.4)."""
    if ask.choice is not None:
        return ()
    url = f"http://{ask.host}{ask.origin_target}"
    keys: list[bytes] = []
    for target in invalidated(ask.method, status, url, fields):
        path, _, query = target.partition("?")
        try:
            asset = read_whole(ask.site, path.encode("latin-1", "replace"), query.encode())
        except RequestError:
            # A target that nobody could have asked for lies nowhere.
            continue
        keys.append(asset.key)
    return tuple(keys)
