"""``python -m bench._stub PORT BYTES``: a region and an origin that answer anything, at once."""

import asyncio
import sys

import httptools
import uvloop

HEAD = (
    "HTTP/1.1 200 OK\r\n"
    "content-type: image/jpeg\r\n"
    "content-length: {length}\r\n"
    "cache-control: public, max-age=86400\r\n"
    "last-modified: Thu, 09 Oct 2025 08:53:20 GMT\r\n"
    'etag: "0123456789abcdef0123456789abcdef"\r\n'
    "surrogate-key: rumba laces soles\r\n"
    "access-control-allow-origin: *\r\n"
    "server-timing: queue;dur=0.0, generate;dur=0.0\r\n"
    "\r\n"
)


class Stub(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer)


async def serve(port: int, body_bytes: int) -> None:
    answer = HEAD.format(length=body_bytes).encode() + b"x" * body_bytes
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(answer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
