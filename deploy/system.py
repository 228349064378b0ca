"""The whole system on one machine: which parts there are, what each is told, in what order.

::

    edge ── region's service ── agent    one of each per region, and a Valkey server
     └──────────── link ──────────┘      every region has a middle mile of its own
                    │
                  origin ── streams      the log that agents read, on the origin's own Valkey
                    │
        console ── database ── worker    the operators' pages, and what makes their candidates
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from deploy import parts
from deploy.layout import HOST, PROPERTIES, REGIONS, Ports, RegionPorts, State
from deploy.processes import START_SECONDS, Part, Running
from deploy.sample import APPROVED
from kvsync.errors import InputError
from kvsync.property import read_properties
from origin.sync.tokens import admit

# Some regions are twice as far as others.
RTT_MS = (180.0, 90.0)


@dataclass(frozen=True)
class LinkShape:
    """The middle mile: round trip in milliseconds, bandwidth in Mbit/s (0 for no limit)."""

    rtt_ms: float = RTT_MS[0]
    mbit_s: float = 50.0

    def __post_init__(self) -> None:
        if not (self.rtt_ms >= 0 and self.mbit_s >= 0):
            raise InputError("--rtt-ms and --mbit-s: numbers that are not below 0")


def links(regions: int, rtt_ms: float | None, mbit_s: float) -> tuple[LinkShape, ...]:
    """The middle mile of each region; with a round trip given, all the same.

    :class:`InputError` for more regions than there are names of.
    """
    if not 1 <= regions <= len(REGIONS):
        raise InputError(f"--regions {regions}: choose 1 to {len(REGIONS)}")
    rtts = RTT_MS if rtt_ms is None else (rtt_ms,)
    return tuple(LinkShape(one, mbit_s) for one in islice(cycle(rtts), regions))


@dataclass(frozen=True)
class Published:
    """What publishing the sample's approvals came to on this machine."""

    published: int
    refused: int
    already: int


@dataclass(frozen=True)
class Place:
    """One region of the system; ``neighbour`` is the next one, where there are several."""

    name: str
    ports: RegionPorts
    link: LinkShape
    neighbour: RegionPorts | None

    def part(self, what: str) -> str:
        """The name of its part: ``edge``, or among several regions ``asia-east edge``."""
        return what if self.neighbour is None else f"{self.name} {what}"


class System:
    """Every part, running or not; use :meth:`started`."""

    def __init__(
        self,
        state: State,
        ports: Ports,
        links: Sequence[LinkShape],
        approved: Path = APPROVED,
        *,
        sample: bool = True,
        traffic: bool = False,
    ) -> None:
        self.state, self.ports, self.approved, self.sample = state, ports, approved, sample
        self.traffic = traffic
        count = len(ports.regions)
        self.places = tuple(
            Place(name, own, shape, ports.regions[(at + 1) % count] if count > 1 else None)
            for at, (name, own, shape) in enumerate(
                zip(REGIONS[:count], ports.regions, links, strict=True)
            )
        )
        self.running: dict[str, Running] = {}
        self.password: str | None = None

    @contextmanager
    def started(self) -> Iterator["System"]:
        """Start every part; whatever happens after, none is left behind."""
        self.ports.check_free()
        self.state.prepare(place.name for place in self.places)
        log = self.state.folder / "log"
        with self.state.held():
            self.password = self.first_password()
            self.running = {
                part.name: Running(part, log / f"{part.name.replace(' ', '-')}.log")
                for part in self._parts()
            }
            with parts.all_running(self.running.values()):
                yield self

    @contextmanager
    def visited(self) -> Iterator[None]:
        """While entered, made-up shoppers ask every edge, where that was asked for."""
        if not self.traffic:
            yield
            return
        part = parts.traffic(place.ports.edge for place in self.places)
        running = Running(part, self.state.folder / "log" / "traffic.log")
        with parts.all_running([running]):
            yield

    async def wait_ready(self, told: Callable[[str], None] = lambda name: None) -> None:
        """As :func:`deploy.parts.wait_ready`, for every part: they all start on the same cores."""
        seconds = START_SECONDS * len(self.places)
        await parts.wait_ready(self.running.values(), told, seconds)

    async def publish_sample(self, told: Callable[[str], None] = lambda line: None) -> Published:
        """Generate each approved image here, sign what matches, bring it to every region.

        Without ``sample`` its model alone is brought in, and nothing goes live. ``told`` hears the
        lines of the command; :class:`deploy.processes.StartError` if it fails.
        """
        approved = self.approved if self.sample else None
        counts = await parts.publish(approved, self.origin_environment(), told=told)
        return Published(counts["published"], counts["refused"], counts["already"])

    @staticmethod
    def url(port: int) -> str:
        return parts.http(port)

    def origin_environment(self) -> dict[str, str]:
        """What the origin's service and the operators' commands are told."""
        gpus = (parts.http(one.region) for one in self.ports.regions)
        return {
            **parts.PYTHON_PATH,
            **self.state.origin_environment(),
            "ORIGIN_HOST": HOST,
            "ORIGIN_PORT": str(self.ports.origin),
            "ORIGIN_LOG_URL": parts.redis_url(self.ports.streams),
            "ORIGIN_REGIONS": ",".join(gpus),
            # Whoever reads the figures is told where they are from.
            "ORIGIN_SAMPLE_TRAFFIC": str(self.traffic).lower(),
        }

    def console_environment(self) -> dict[str, str]:
        """What the console, its worker and its commands are told."""
        return {
            **self.origin_environment(),
            "CONSOLE_HOST": HOST,
            "CONSOLE_PORT": str(self.ports.console),
            "CONSOLE_URL": self.console_url,
            "CONSOLE_SHOP_URL": f"http://localhost:{self.places[0].ports.edge}",
        }

    @property
    def console_url(self) -> str:
        return f"http://localhost:{self.ports.console}"

    def first_password(self) -> str | None:
        """Make the console's first account, ``admin``, where there is none: its one-time password.

        Told by nobody else: the console, which would write it to its log, finds the account there.
        """
        # Commands that start nothing are spared this import.
        from origin.console.accounts import first_admin
        from origin.database import Database

        database = Database(self.state.origin_environment()["ORIGIN_DATABASE_URL"])
        try:
            return first_admin(database)
        finally:
            database.close()

    def _parts(self) -> Iterator[Part]:
        folder = self.state.streams
        yield parts.valkey("streams", folder, self.ports.streams, "--appendonly", "yes")
        yield self._origin()
        told = self.console_environment()
        yield from (parts.console(self.ports.console, told), parts.worker(told))
        for place in self.places:
            yield from (self._valkey(place), self._link(place), self._region(place))
            yield from (self._edge(place), self._agent(place))

    def _origin(self) -> Part:
        environment = self.origin_environment()
        return parts.python("origin", "origin", self.ports.origin, environment, "serve")

    def _valkey(self, place: Place) -> Part:
        folder = self.state.region(place.name) / "valkey"
        name, port = place.part("valkey"), place.ports.valkey
        return parts.valkey(name, folder, port, "--appendonly", "yes")

    def _link(self, place: Place) -> Part:
        own = place.ports
        routes = {
            "images": (own.link_images, self.ports.origin),
            "models": (own.link_models, self.ports.origin),
            "records": (own.link_records, self.ports.origin),
        }
        if place.neighbour is not None:
            routes["region"] = (own.link_region, place.neighbour.region)
            routes["agent"] = (own.link_agent, place.neighbour.agent)
        return parts.relay(
            place.part("link"),
            "deploy.link",
            routes,
            parts.http(own.link_metrics) + "/metrics",
            *("--rtt-ms", str(place.link.rtt_ms), "--mbit-s", str(place.link.mbit_s)),
            *("--metrics-port", str(own.link_metrics)),
        )

    def _region(self, place: Place) -> Part:
        own = place.ports
        environment = parts.region_environment(
            self.state.region(place.name),
            own.region,
            self.state.trusted_keys,
            store=parts.redis_url(own.valkey),
            origin=parts.http(own.link_models),
        )
        environment["REGION_NAME"] = place.name
        if place.neighbour is not None:
            environment["REGION_NEIGHBOURS"] = parts.http(own.link_region)
        return parts.python(place.part("region"), "regional_gpu", own.region, environment)

    def _edge(self, place: Place) -> Part:
        own = place.ports
        nearest_first = [own.region] if place.neighbour is None else [own.region, own.link_region]
        environment = parts.edge_environment(
            self.state.region(place.name) / "edge",
            (own.edge, own.edge_admin),
            self.state.trusted_keys,
            store=parts.redis_url(own.valkey),
            regions=[parts.http(port) for port in nearest_first],
            origin=parts.http(own.link_images),
        )
        environment["EDGE_NODE"] = place.name
        environment["EDGE_REPLICA_URL"] = parts.http(own.agent)
        environment["EDGE_PROPERTIES_DIR"] = str(self.state.region_properties(place.name))
        return parts.python(place.part("edge"), "edge", own.edge_admin, environment)

    def _agent(self, place: Place) -> Part:
        """Admitted anew at every start: who has the state's folder has the token's file."""
        own, environment = place.ports, self.state.origin_environment()
        served = tuple(read_properties(PROPERTIES))
        token = admit(Path(environment["ORIGIN_REGION_TOKENS"]), place.name, served)
        told = parts.agent_environment(
            place.name,
            own.agent,
            self.state.trusted_keys,
            folder=self.state.region(place.name),
            token=token,
            properties=served,
            store=parts.redis_url(own.valkey),
            origin=parts.http(own.link_records),
            gpus=[parts.http(own.region)],
            edge_admins=[parts.http(own.edge_admin)],
        )
        told["SYNC_PROPERTIES_DIR"] = str(self.state.region_properties(place.name))
        told["SYNC_REPLICA_DIR"] = str(self.state.region(place.name) / "replica")
        if place.neighbour is not None:
            told["SYNC_NEIGHBOURS"] = parts.http(own.link_agent)
        return parts.python(place.part("agent"), "kvsync", own.agent, told)
