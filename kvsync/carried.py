"""How many bytes a request and its answer took on their connection: payload of TCP, heads included,
inside TLS. Chunk sizes are not counted, and neither is what was never answered."""

import httpx2

# " " twice and "HTTP/1.1" around the target, and the two line ends beyond the fields' own.
_REQUEST_LINE_BYTES = len(b"  HTTP/1.1\r\n") + len(b"\r\n")
# "HTTP/1.1 200 " before the reason, and the two line ends that a head has beyond its fields'.
_STATUS_LINE_BYTES = len(b"HTTP/1.1 200 \r\n") + len(b"\r\n")
_FIELD_BYTES = len(b": \r\n")


def asked_bytes(request: httpx2.Request) -> int:
    """The request's line and fields, without content."""
    line = _REQUEST_LINE_BYTES + len(request.method) + len(request.url.raw_path)
    return line + _fields(request.headers)


def answered_bytes(answer: httpx2.Response) -> int:
    """Status line, fields, and as much of the body as was read, still coded."""
    line = _STATUS_LINE_BYTES + len(answer.reason_phrase)
    return line + _fields(answer.headers) + answer.num_bytes_downloaded


def carried_bytes(answer: httpx2.Response) -> int:
    """Both ways; the request's content is its sender's to add."""
    return asked_bytes(answer.request) + answered_bytes(answer)


def _fields(headers: httpx2.Headers) -> int:
    return sum(len(name) + len(value) + _FIELD_BYTES for name, value in headers.raw)
