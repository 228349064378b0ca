"""Bytes past the end of a response, which nobody asked for, must not become the next one's.

httpcore puts a connection back into its pool with whatever came after a response still in its
buffer, and reads that as the answer to the next request: whoever can make an origin send more than
it announces (a wrong Content-Length will do) decides what another URL's clients get. Here such a
connection is closed instead (RFC 9112 section 6.3). A test holds it against the pinned version.
"""

import h11
import httpcore2

Connection = httpcore2.AsyncHTTP11Connection

_put_back = Connection._response_closed


async def _closed_if_more_came(connection: Connection) -> None:
    state: h11.Connection = connection._h11_state
    surplus, _ = state.trailing_data
    await (connection.aclose() if surplus else _put_back(connection))


def close_on_surplus() -> None:
    """From now on, for every client of this process."""
    Connection._response_closed = _closed_if_more_came  # type: ignore[assignment,method-assign]
