"""uvicorn's HTTP/1.1 protocol, with the request target kept as sent and the head bounded.

uvicorn resolves absolute-form targets to their path and holds heads of any size; an edge must
see the one and not do the other.
"""

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
_LINGER_S = 1.0
_TOO_LONG = "the request head is longer than 64 KiB"


class EdgeProtocol(HttpToolsProtocol):
    """Puts the raw target into ``scope["extensions"]["edge.target"]["raw"]``."""

    url = b""
    _head_bytes = 0
    _field_bytes = 0
    _in_head = False
    _refused = False
    _head_due: TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            # A field that has not ended yet is in the parser's hands, not in ours.
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, _TOO_LONG)
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_in()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._field_bytes = 0
        self._head_due = self.loop.call_later(
            HEAD_SECONDS, self._refuse, 408, "the request head did not arrive in time"
        )

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > MAX_HEAD_BYTES:
            raise ValueError(_TOO_LONG)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("the request target is longer than 64 KiB")

    def on_headers_complete(self) -> None:
        self._head_is_in()
        target = self.url
        extensions: dict[str, dict[Any, Any]] = {"edge.target": {"raw": target}}
        self.scope["extensions"] = extensions
        # The application reads the target itself; the parser must not trip over it before.
        self.url = b"/"
        super().on_headers_complete()

    def _head_is_in(self) -> None:
        self._in_head = False
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def send_400_response(self, msg: str) -> None:
        if len(self.url or b"") > MAX_HEAD_BYTES:
            self._refuse(414, "the request target is longer than 64 KiB")
        elif self._field_bytes > MAX_HEAD_BYTES:
            self._refuse(431, _TOO_LONG)
        else:
            self._refuse(400, "this is not an HTTP/1.1 request")

    def _refuse(self, status: int, why: str) -> None:
        self._head_is_in()
        reason = "path-too-long" if status == 414 else "bad-request"
        body = b'{"error":"%b","detail":"%b"}' % (reason.encode(), why.encode())
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            + b"cache-control: no-store\r\nconnection: close\r\n\r\n"
            + body
        )
        # Closing on unread bytes would reset the connection and take the answer with it: read on
        # for a moment and throw away (RFC 9112 section 9.6).
        self._refused = True
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)
