"""How many bytes an answer took on its connection."""

import httpx2

# "HTTP/1.1 200 " before the reason, and the two line ends that a head has beyond its fields'.
_STATUS_LINE_BYTES = len(b"HTTP/1.1 200 \r\n") + len(b"\r\n")
_FIELD_BYTES = len(b": \r\n")


def head_bytes(answer: httpx2.Response) -> int:
    """The status line and the fields, as they came."""
    fields = sum(len(name) + len(value) + _FIELD_BYTES for name, value in answer.headers.raw)
    return _STATUS_LINE_BYTES + len(answer.reason_phrase) + fields


def carried_bytes(answer: httpx2.Response) -> int:
    """Head and as much of the body as was read, still coded; chunk sizes are not counted."""
    return head_bytes(answer) + answer.num_bytes_downloaded
