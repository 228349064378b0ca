"""Files that are whole or not there."""

import os
import secrets
from pathlib import Path

from kvsync.errors import InputError


def write_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write under a temporary name, flush to disk, rename; :class:`InputError` if that fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot write: {error.strerror}") from error
