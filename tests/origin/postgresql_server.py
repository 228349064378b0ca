"""A real PostgreSQL server for tests, on loopback and a free port."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.layout import free_ports

_WAIT_S = 60.0


def _programs() -> Path | None:
    """Where the newest version that Debian installed has its programs; it puts none on the PATH."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    found = known[-1] if known else shutil.which("initdb")
    return Path(found).parent if found else None


def _version(initdb: Path) -> int:
    return int(initdb.parents[1].name)


PROGRAMS = _programs()


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of its server's first database, without a password, until the block ends."""
    if PROGRAMS is None:
        raise FileNotFoundError("PostgreSQL's initdb is not installed: apt install postgresql")
    (port,) = free_ports(1)
    # The server refuses to run as root, and must reach its folder as whoever it runs as.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data = ["-D", f"{folder}/data"]
        subprocess.run(
            [
                PROGRAMS / "initdb",
                *data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "-E",
                "UTF8",
                "--locale=C",
            ],
            check=True,
            user=user,
            stdout=subprocess.DEVNULL,
            env={},
        )
        listening = ["-h", "127.0.0.1", "-p", str(port), "-k", folder, "-c", "fsync=off"]
        server = subprocess.Popen(
            [PROGRAMS / "postgres", *data, *listening],
            user=user,
            stderr=subprocess.DEVNULL,
            env={},
        )
        try:
            _wait(PROGRAMS, port)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait()


def _wait(programs: Path, port: int) -> None:
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + _WAIT_S
    while subprocess.run(asked, check=False).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError(f"PostgreSQL on port {port} did not answer in {_WAIT_S:.0f} s")
        time.sleep(0.05)
