"""HTTP as an agent speaks it."""

import httpx2

_LIMITS = httpx2.Limits(max_connections=64, max_keepalive_connections=64)


class Transport(httpx2.AsyncHTTPTransport):
    """A peer that resets a connection just as it is made is one that is not there.

    On uvloop that connection has no socket any more, which the library asks for its address.
    """

    def __init__(self) -> None:
        super().__init__(limits=_LIMITS, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await super().handle_async_request(request)
        except AttributeError as error:
            raise httpx2.ConnectError(f"reset as it was made: {error}") from error
