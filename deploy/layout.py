"""Where the parts of one machine live: ports, folders and keys."""

import errno
import fcntl
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
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
# Regions of one machine, in the order in which they are added.
REGIONS = ("europe-west", "asia-east", "us-east", "us-west", "asia-south")
# A region's ports are neighbours, the next one's lie twenty further: 8080, 8100, 8120. Among the
# first one's are the origin's.
_USED, _APART, _ORIGIN_AT, _STREAMS_AT, _CONSOLE_AT = 14, 20, 2, 12, 13


@dataclass(frozen=True)
class RegionPorts:
    """One port per listener of a region; ``link_*`` are the near ends of its middle mile.

    ``link_region`` and ``link_agent`` lead to the next region's service and agent.
    """

    edge: int
    edge_admin: int
    region: int
    valkey: int
    link_images: int
    link_models: int
    link_records: int
    link_metrics: int
    agent: int
    link_region: int
    link_agent: int


@dataclass(frozen=True)
class Ports:
    """The origin's listeners, its own Valkey's (``streams``), the console's, and those of each
    region."""

    origin: int
    streams: int
    console: int
    regions: tuple[RegionPorts, ...]

    @classmethod
    def starting_at(cls, first: int, regions: int = 1) -> "Ports":
        """A block of ports per region, the origin's in the first one's.

        :class:`InputError` where there are not that many ports.
        """
        last = _LAST_PORT - _APART * (regions - 1) - _USED + 1
        if not 1 <= first <= last:
            raise InputError(f"--port {first}: choose one between 1 and {last}")
        blocks = range(first, first + _APART * regions, _APART)
        shared = (_ORIGIN_AT, _STREAMS_AT, _CONSOLE_AT)
        offsets = [at for at in range(_USED) if at not in shared]
        each = (RegionPorts(*(block + at for at in offsets)) for block in blocks)
        origin, streams, console = (first + at for at in shared)
        return cls(origin, streams, console, tuple(each))

    @classmethod
    def free(cls, regions: int = 1) -> "Ports":
        """Ports that nobody listens on now, all different."""
        per_region = len(fields(RegionPorts))
        origin, streams, console, *others = free_ports(3 + per_region * regions)
        each = (others[at : at + per_region] for at in range(0, len(others), per_region))
        return cls(origin, streams, console, tuple(RegionPorts(*one) for one in each))

    def named(self) -> Iterator[tuple[str, int]]:
        """What each port is for, and its number."""
        yield from (("origin", self.origin), ("streams", self.streams), ("console", self.console))
        for place, ports in zip(REGIONS, self.regions, strict=False):
            for name, port in vars(ports).items():
                what = name.replace("_", " ")
                yield (what if len(self.regions) == 1 else f"{place} {what}"), port

    def check_free(self) -> None:
        """:class:`InputError` for the first port that cannot be listened on."""
        for name, port in self.named():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    why = "is in use" if error.errno == errno.EADDRINUSE else error.strerror
                    raise InputError(
                        f"port {port} ({name}) {why}; "
                        "stop what holds it or choose others with --port"
                    ) from error


def free_ports(count: int) -> list[int]:
    """``count`` different ports of the loopback interface that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@dataclass(frozen=True)
class State:
    """The folder that holds all state: keys, database, key-value files, caches, models, logs."""

    folder: Path = field(default=ROOT / "var")

    @property
    def signing_key(self) -> Path:
        return self.folder / "keys" / "signing.key"

    @property
    def trusted_keys(self) -> Path:
        return self.folder / "keys" / "trusted.json"

    @property
    def streams(self) -> Path:
        """Where the origin's own Valkey keeps its streams."""
        return self.folder / "streams"

    @property
    def console(self) -> Path:
        """Where the console and its worker keep the queue of jobs, uploads and drawn pictures."""
        return self.folder / "console"

    def region(self, name: str) -> Path:
        """What belongs to one region alone."""
        return self.folder / "regions" / name

    def region_properties(self, name: str) -> Path:
        """A region's own copy of the properties' settings, which its agent keeps up to date."""
        return self.region(name) / "properties"

    def origin_environment(self) -> dict[str, str]:
        """What the origin's service and commands are told, whatever folder they run in."""
        return {
            "ORIGIN_PROPERTIES_DIR": str(PROPERTIES),
            "ORIGIN_DAM": f"rumba=folder:{SAMPLE / 'gallery'}",
            "ORIGIN_GALLERIES": f"rumba={SAMPLE}",
            "ORIGIN_DATABASE_URL": f"sqlite:///{self.folder.absolute() / 'origin.db'}",
            "ORIGIN_SIGNING_KEY": str(self.signing_key.absolute()),
            "ORIGIN_MODELS": f"folder:{self.folder.absolute() / 'models'}",
            "ORIGIN_REGION_TOKENS": str(self.folder.absolute() / "keys" / "regions.json"),
            "ORIGIN_STORES": f"folder:{self.folder.absolute() / 'stores'}",
            "ORIGIN_SNAPSHOTS": f"folder:{self.folder.absolute() / 'snapshots'}",
            "CONSOLE_FOLDER": str(self.console.absolute()),
            "CONSOLE_ANALYSIS": str(self.folder.absolute() / "analysis"),
        }

    def prepare(self, regions: Iterable[str] = REGIONS[:1]) -> None:
        """Make folders and keys at first start; :class:`InputError` where that cannot be done."""
        names = list(regions)
        folders = [self.folder / "keys", self.folder / "log", self.streams, self.console]
        folders += [self.region(name) / "valkey" for name in names]
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot keep state there: {error.strerror}") from error
        # Replaced, the file would no longer be the one that another process holds.
        write_file(self.folder / _MARK, _MARKED, replace=False)
        for name in names:
            for path in PROPERTIES.glob("*.toml"):
                copy = self.region_properties(name) / path.name
                write_file(copy, path.read_bytes(), replace=False)
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
