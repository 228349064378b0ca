"""The rules of HTTP caching as pure functions over frozen values; time is passed in.

RFC 9110 (semantics), 9111 (caching), 5861 (stale), 9211 (Cache-Status), 9213 (targeted fields).
"""
