"""Where the parts of one machine live: ports, folders and keys."""

import errno
import fcntl
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kvsync.errors import InputError
from kvsync.files import write_file
from kvsync.property import read_properties
from kvsync.signing import Keyring, SigningKey

ROOT = Path(__file__).resolve().parent.parent
PROPERTIES = ROOT / "deploy" / "properties"
SAMPLE = ROOT / "origin" / "samples" / "rumba"
HOST = "127.0.0.1"
_MARK = ".rehydrate"
_MARKED = b"State of ./rehydrate up; ./rehydrate reset removes it.\n"
_LAST_PORT = 65_535


@dataclass(frozen=True)
class Ports:
    """One port per listener; ``link_*`` are the middle mile's ends near the region."""

    edge: int = 8080
    edge_admin: int = 8081
    origin: int = 8082
    region: int = 8083
    valkey: int = 8084
    link_images: int = 8085
    link_models: int = 8086
    link_records: int = 8087
    link_metrics: int = 8088

    @classmethod
    def starting_at(cls, first: int) -> "Ports":
        """Nine neighbours; :class:`InputError` where there are not that many."""
        if not 1 <= first <= _LAST_PORT - 8:
            raise InputError(f"--port {first}: choose one between 1 and {_LAST_PORT - 8}")
        return cls(*(first + offset for offset in range(9)))

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on now, all different."""
        held = [socket.socket() for _ in range(9)]
        try:
            for one in held:
                one.bind((HOST, 0))
            return cls(*(one.getsockname()[1] for one in held))
        finally:
            for one in held:
                one.close()

    def check_free(self) -> None:
        """:class:`InputError` for the first port that cannot be listened on."""
        for name, port in vars(self).items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    why = "is in use" if error.errno == errno.EADDRINUSE else error.strerror
                    raise InputError(
                        f"port {port} ({name.replace('_', ' ')}) {why}; "
                        "stop what holds it or choose others with --port"
                    ) from error


@dataclass(frozen=True)
class State:
    """The folder that holds all state: keys, database, key-value file, caches, models, logs."""

    folder: Path = field(default=ROOT / "var")

    @property
    def signing_key(self) -> Path:
        return self.folder / "keys" / "signing.key"

    @property
    def trusted_keys(self) -> Path:
        return self.folder / "keys" / "trusted.json"

    def origin_environment(self) -> dict[str, str]:
        """What the origin's service and commands are told, whatever folder they run in."""
        return {
            "ORIGIN_PROPERTIES_DIR": str(PROPERTIES),
            "ORIGIN_DAM": f"rumba=folder:{SAMPLE / 'gallery'}",
            "ORIGIN_GALLERIES": f"rumba={SAMPLE}",
            "ORIGIN_DATABASE_URL": f"sqlite:///{self.folder.absolute() / 'origin.db'}",
            "ORIGIN_SIGNING_KEY": str(self.signing_key.absolute()),
            "ORIGIN_MODELS_DIR": str(self.folder.absolute() / "models"),
        }

    def prepare(self) -> None:
        """Make folders and keys at first start; :class:`InputError` where that cannot be done."""
        try:
            for name in ("keys", "log", "valkey"):
                (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot keep state there: {error.strerror}") from error
        # Replaced, the file would no longer be the one that another process holds.
        write_file(self.folder / _MARK, _MARKED, replace=False)
        key = SigningKey.load_or_create(self.signing_key)
        Keyring((key.trusted_for(read_properties(PROPERTIES)),)).write(self.trusted_keys)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep a prepared folder to oneself; :class:`InputError` while another process has it."""
        with (self.folder / _MARK).open("rb") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"{self.folder}: in use by another ./rehydrate up; "
                    "stop that one or choose another --state"
                ) from error
            yield

    def remove(self) -> bool:
        """Remove the folder, if it is one that :meth:`prepare` made; False if there is none."""
        if not self.folder.exists():
            return False
        if not (self.folder / _MARK).exists():
            raise InputError(f"{self.folder}: was not made by ./rehydrate up; remove it yourself")
        with self.held():
            shutil.rmtree(self.folder)
        return True
