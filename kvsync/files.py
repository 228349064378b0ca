"""Files that are whole or not there."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from kvsync.errors import InputError


def write_file(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> bool:
    """Write under a temporary name, flush to disk, rename.

    Without ``replace`` a file that is there already stays as it is. Returns whether ``data`` was
    put in place. Raises :class:`InputError` when it cannot be, with nothing left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return _put_in_place(temporary, path, replace)
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _put_in_place(temporary: Path, path: Path, replace: bool) -> bool:
    if replace:
        os.replace(temporary, path)
        return True
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    return True
