"""uvicorn's HTTP/1.1 protocol: hits are answered here, ahead of ASGI; the request target is kept as
sent, and the head is bounded in size and time.

uvicorn resolves absolute-form targets to their path and holds heads of any size; an edge must
see the one and not do the other.
"""

import os
import time
from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from edge.hits import Hit, Hits
from edge.rules.stored import Body

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
_LINGER_S = 1.0
_TOO_LONG = "the request head is longer than 64 KiB"


class EdgeProtocol(HttpToolsProtocol):
    """Puts the raw target into ``scope["extensions"]["edge.target"]["raw"]``.

    A hit costs no task, no scope and no timer: those of a request that takes the long way are made
    when its head is complete, and that an idle connection ends is looked after by one timer that
    is moved on only when it fires. A request that was a hit before, to the byte, is not even
    parsed: the parser would say of the same bytes what it said then.
    """

    url = b""
    _head_bytes = 0
    _piece_bytes = _field_bytes = _counted = 0
    _in_head = False
    _refused = False
    _head_due: TimerHandle | None = None
    _idle_since = 0.0
    _idle_due: TimerHandle | None = None
    # Of what arrives: whether it begins with a request, and how many there are in it.
    _at_rest = True
    _begun = 0
    # Whether the connection may go on after the request, in the same protocol.
    _plain = False
    _hit: Hit | None = None
    _address = b""
    # -1 where what is written is not what is sent (TLS).
    _socket = -1

    def __init__(self, *args: Any, hits: Hits | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hits = hits

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.scheme == "http":
            self._socket = transport.get_extra_info("socket").fileno()
        self._address = self.client[0].encode() if self.client else b""
        self._idle_since = self.loop.time()
        self._end_if_idle()

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        at_rest = self._at_rest
        if at_rest and self._say_again(data):
            return
        if self._in_head:
            # A field that has not ended yet is in the parser's hands, not in ours.
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, _TOO_LONG)
                return
            self._head_bytes += len(data)
        self._piece_bytes = len(data)
        self._begun = 0
        super().data_received(data)
        hit, self._hit = self._hit, None
        if hit is not None and self._hits is not None:
            # One request, all of it and nothing else, lies here: its bytes stand for it.
            if at_rest and self._begun == 1 and self._at_rest and data.endswith(b"\r\n\r\n"):
                self._hits.remember(data, hit)
        if self._in_head and self._head_due is None and not self._refused:
            self._head_due = self.loop.call_later(
                HEAD_SECONDS, self._refuse, 408, "the request head did not arrive in time"
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_in()
        if self._idle_due is not None:
            self._idle_due.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self._hit = None
        self._at_rest = False
        self._begun += 1
        self._in_head = True
        self._head_bytes = self._field_bytes = self._counted = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # A trailer is none of the head's fields (RFC 9110 section 6.5.1).
        self.headers.append((name.lower(), value))
        # A head that came in one piece is no longer than that.
        if self._piece_bytes + self._head_bytes > MAX_HEAD_BYTES and self._is_too_long():
            raise ValueError(_TOO_LONG)

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("the request target is longer than 64 KiB")

    def on_headers_complete(self) -> None:
        self._head_is_in()
        parser = self.parser
        self._plain = (
            parser.should_keep_alive()
            and not parser.should_upgrade()
            and parser.get_http_version() == "1.1"
        )
        if self._plain and self._answer_hit():
            return
        target, headers = self.url, self.headers
        super().on_message_begin()
        self.headers.extend(headers)
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        extensions: dict[str, dict[Any, Any]] = {"edge.target": {"raw": target}}
        self.scope["extensions"] = extensions
        # The application reads the target itself; the parser must not trip over it before.
        self.url = b"/"
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._hit is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._at_rest = self._plain
        if self._hit is None:
            super().on_message_complete()

    def _say_again(self, data: bytes) -> bool:
        """Answer what was answered before, to the byte, if it still is a hit."""
        if self._hits is None or not self._is_free():
            return False
        begun = time.perf_counter()
        hit = self._hits.again(data)
        if hit is not None:
            self._send(self._hits, hit, begun)
        return hit is not None

    def _answer_hit(self) -> bool:
        """Answer from the cache if it is this request's turn."""
        if self._hits is None or not self._is_free():
            return False
        begun = time.perf_counter()
        self._hit = self._hits.find(
            self.parser.get_method().decode("ascii"), self.url, self.headers
        )
        if self._hit is not None:
            self._send(self._hits, self._hit, begun)
        return self._hit is not None

    def _is_free(self) -> bool:
        """Whether nothing is to be waited for, which needs a task: an earlier request, or a client
        that does not read."""
        before = self.cycle
        return (before is None or before.response_complete) and not self.flow.write_paused

    def _send(self, hits: Hits, hit: Hit, begun: float) -> None:
        self._write(hit.said.head, hit.body)
        self._idle_since = self.loop.time()
        self.server_state.total_requests += 1
        hits.told(hit, self._address, time.perf_counter() - begun)

    def _write(self, head: bytes, body: Body) -> None:
        """Hand an answer to the system at once, and to the transport only what that does not take:
        its queue is a tenth of what a hit costs."""
        sent = 0
        if self._socket >= 0 and not self.transport.get_write_buffer_size():
            try:
                sent = os.writev(self._socket, (head, body))
            except OSError:
                sent = 0  # The transport meets the same error, and knows what to do.
        if sent < len(head):
            self.transport.writelines((head[sent:], body))
        elif sent < len(head) + len(body):
            self.transport.write(memoryview(body)[sent - len(head) :])

    def _end_if_idle(self) -> None:
        """Close a connection idle for the keep-alive time; look again when it may be."""
        self._idle_due = None
        busy = self.cycle is not None and not self.cycle.response_complete
        idle_s = 0.0 if busy else self.loop.time() - self._idle_since
        if idle_s < self.timeout_keep_alive:
            self._idle_due = self.loop.call_later(
                self.timeout_keep_alive - idle_s, self._end_if_idle
            )
        elif not self.transport.is_closing():
            self.transport.close()

    def _is_too_long(self) -> bool:
        """Whether the fields so far are; each is counted once."""
        for name, value in self.headers[self._counted :]:
            self._field_bytes += len(name) + len(value)
        self._counted = len(self.headers)
        return self._field_bytes > MAX_HEAD_BYTES

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
        self._at_rest = False
        if self.cycle is not None and not self.cycle.response_complete:
            # Earlier requests are not answered yet, and a refusal now would be taken for theirs:
            # the last of them ends the connection.
            self._refused, self.cycle.keep_alive = True, False
            return
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
