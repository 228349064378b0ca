"""Originals from people: looked at in a limited process, then put into the asset store."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from kvsync.errors import InputError, RequestError
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.qa import audit

MOST_FILES: Final = 50
MOST_BYTES: Final = 20 << 20
# By the clock, on a machine that is busy: the child has fewer seconds of the processor.
_PATIENCE_S: Final = 60.0
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}")
_FORMS: Final = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif"}

Verdict = Literal["new", "replaces another", "the same is there", "refused"]


class _Examined(msgspec.Struct):
    fault: str = ""
    form: str = ""
    width: int = 0
    height: int = 0
    thumb: str = ""


@dataclass(frozen=True)
class Looked:
    """One uploaded file; ``why`` says why it is refused, ``thumb`` is WebP in base 64."""

    name: str
    data: bytes
    verdict: Verdict
    why: str = ""
    width: int = 0
    height: int = 0
    thumb: str = ""

    @property
    def goes_in(self) -> bool:
        return self.verdict in ("new", "replaces another")


def look_at(desk: Desk, property: str, name: str, data: bytes) -> Looked:
    """What a file is and what putting it in would do; a bad one is refused, never an error."""
    try:
        found = examine(name, data)
    except InputError as error:
        return Looked(name, data, "refused", str(error))
    dam = desk.site(property).dam
    try:
        there = dam.open(name)[1]
    except RequestError:
        verdict: Verdict = "new"
    else:
        verdict = "the same is there" if there == data else "replaces another"
    return Looked(name, data, verdict, "", found.width, found.height, found.thumb)


def examine(name: str, data: bytes) -> _Examined:
    """Decode an upload in a process with little memory, time and no way to write.

    :class:`InputError` for a name that will not do, and for anything but a picture that is what
    its name says.
    """
    form = _FORMS.get(name.rpartition(".")[2].casefold())
    if not _NAME.fullmatch(name):
        raise InputError("its name may have letters, digits, dots, dashes and underscores only")
    if data[:1_000].lstrip().startswith((b"<svg", b"<?xml", b"<!DOCTYPE")):
        raise InputError("SVG is refused: it can hold programs; save it as PNG")
    if form is None:
        raise InputError(f"its name must end in one of .{', .'.join(_FORMS)}")
    if len(data) > MOST_BYTES:
        raise InputError(f"it has {len(data) >> 20} MB; {MOST_BYTES >> 20} at most")
    found = _decoded_apart(data)
    if found.fault:
        raise InputError(found.fault)
    if found.form != form:
        raise InputError(f"it is a {found.form.upper()} picture, but its name says {form.upper()}")
    return found


def put_in(desk: Desk, property: str, looked: Iterable[Looked], person: Person) -> int:
    """Put what goes in into the asset store; how many. What is live of a replaced one ends."""
    site = desk.site(property)
    chosen = [one for one in looked if one.goes_in]
    for one in chosen:
        site.dam.put(one.name, one.data)
        with desk.database.writing() as session:
            path = site.request(one.name).path
            audit(session, person.name, "original", path, was=one.verdict, bytes=len(one.data))
    return len(chosen)


def _decoded_apart(data: bytes) -> _Examined:
    # Nothing of ours to find: no secrets in the environment, no settings.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "origin.console.examine"]
    try:
        ran = subprocess.run(
            command, input=data, capture_output=True, timeout=_PATIENCE_S, env=environment
        )
        return msgspec.msgpack.decode(ran.stdout, type=_Examined)
    except (subprocess.TimeoutExpired, msgspec.MsgspecError) as error:
        raise InputError("it takes too much time or memory to decode: supply another") from error
