"""One line of JSON for every answer, gathered and written in few large pieces.

Processes that share a file may write at once: lines go out whole, in one append.
"""

import asyncio
import os
from pathlib import Path

import msgspec

from edge.decide import Outcome
from kvsync.errors import InputError

_FLUSH_LINES = 256
_FLUSH_S = 1.0
# An address needs no escape; the opening brace of what follows is in the line already.
_LINE = b'{"time":%.6f,"client":"%b","ms":%.3f,%b\n'


class About(msgspec.Struct, frozen=True, omit_defaults=True, rename={"body_bytes": "bytes"}):
    """What was asked and answered: all of a line but when, by whom and how long it took, so that
    it is the same for all who ask the same."""

    method: str
    host: str
    target: str
    status: int
    body_bytes: int
    property: str
    outcome: Outcome
    reason: str = ""
    agent: str = ""
    request_id: str = ""
    trace_id: str = ""

    def encoded(self) -> bytes:
        """The end of the line, to be noted as often as it is answered."""
        return msgspec.json.encode(self)[1:]


class AccessLog:
    """Lines to a file, or to a pipe like ``/dev/stdout``; nowhere for an empty name.

    What cannot be written is counted in ``lost`` and forgotten: a full disk is no reason not to
    serve. A file that was moved away, as by logrotate, is begun again.
    """

    def __init__(self, where: str) -> None:
        self.lost = 0
        self.on = bool(where)
        self._where = where
        self._lines: list[tuple[float, bytes, float, bytes]] = []
        self._due: asyncio.TimerHandle | None = None
        self._fd = _open(where) if where else -1

    def note(self, time: float, client: bytes, ms: float, about: bytes) -> None:
        """``time`` is Unix seconds at the answer's end, ``ms`` from the head to the last byte,
        ``about`` as of :meth:`About.encoded`. To be called in a running event loop."""
        if not self.on:
            return
        self._lines.append((time, client, ms, about))
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)

    def flush(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            if _moved(self._where, self._fd):
                os.close(self._fd)
                self._fd = _open(self._where)
            told = b"".join([_LINE % line for line in lines])
            written = os.write(self._fd, told)
            self.lost += told.count(b"\n", written)
        except (OSError, InputError):
            self.lost += len(lines)

    def close(self) -> None:
        self.flush()
        if self.on:
            os.close(self._fd)
        self.on = False


def _moved(where: str, fd: int) -> bool:
    try:
        return not os.path.samestat(os.stat(where), os.fstat(fd))
    except FileNotFoundError:
        return True


def _open(where: str) -> int:
    # A pipe that nobody reads loses lines; it must not make the edge wait.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
        return os.open(where, flags, 0o640)
    except OSError as error:
        raise InputError(f"EDGE_ACCESS_LOG: cannot write {where}: {error.strerror}") from error
