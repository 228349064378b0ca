"""The whole system on one machine: which parts there are, what each is told, in what order.

::

    edge ── region's service       one of each per region, and a Valkey server for its records
     │         │
     └── link ─┴── origin          every region has a middle mile of its own
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from deploy import parts
from deploy.layout import HOST, REGIONS, Ports, RegionPorts, State
from deploy.processes import Part, Running
from deploy.sample import APPROVED
from kvsync.errors import InputError

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
        self, state: State, ports: Ports, links: Sequence[LinkShape], approved: Path = APPROVED
    ) -> None:
        self.state, self.ports, self.approved = state, ports, approved
        count = len(ports.regions)
        self.places = tuple(
            Place(name, own, shape, ports.regions[(at + 1) % count] if count > 1 else None)
            for at, (name, own, shape) in enumerate(
                zip(REGIONS[:count], ports.regions, links, strict=True)
            )
        )
        every = [self._origin()]
        for place in self.places:
            every += [self._valkey(place), self._link(place), self._region(place)]
            every.append(self._edge(place))
        log = state.folder / "log"
        self.running = {
            part.name: Running(part, log / f"{part.name.replace(' ', '-')}.log") for part in every
        }

    @contextmanager
    def started(self) -> Iterator["System"]:
        """Start every part; whatever happens after, none is left behind."""
        self.ports.check_free()
        self.state.prepare(place.name for place in self.places)
        with self.state.held(), parts.all_running(self.running.values()):
            yield self

    async def wait_ready(self, told: Callable[[str], None] = lambda name: None) -> None:
        """As :func:`deploy.parts.wait_ready`, for every part."""
        await parts.wait_ready(self.running.values(), told)

    async def publish_sample(self, told: Callable[[str], None] = lambda line: None) -> Published:
        """Generate each approved image here, sign what matches, bring it to every region.

        ``told`` hears the lines of the command; :class:`deploy.processes.StartError` if it fails.
        """
        counts = await parts.publish(self.approved, self.origin_environment(), told=told)
        return Published(counts["published"], counts["refused"], counts["already"])

    @staticmethod
    def url(port: int) -> str:
        return parts.http(port)

    def origin_environment(self) -> dict[str, str]:
        """What the origin's service and the operators' commands are told."""
        regions = self.ports.regions
        return {
            **parts.PYTHON_PATH,
            **self.state.origin_environment(),
            "ORIGIN_HOST": HOST,
            "ORIGIN_PORT": str(self.ports.origin),
            "ORIGIN_STORES": ",".join(parts.redis_url(one.link_records) for one in regions),
            "ORIGIN_REGIONS": ",".join(parts.http(one.region) for one in regions),
            "ORIGIN_EDGE_ADMINS": ",".join(parts.http(one.edge_admin) for one in regions),
        }

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
            "records": (own.link_records, own.valkey),
        }
        if place.neighbour is not None:
            routes["region"] = (own.link_region, place.neighbour.region)
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
        return parts.python(place.part("edge"), "edge", own.edge_admin, environment)
