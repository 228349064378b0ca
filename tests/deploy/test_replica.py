"""A family's ways on real processes: told by the origin, obeyed by edges, served by a replica."""

import asyncio
import resource
from collections.abc import Iterator

import pytest

from kvsync.property import Ways
from tests.deploy.replica_world import ReplicaWorld, replica_world

REPLICA, HAUL = Ways("economical", "replica"), Ways("economical", "haul")
COUNT = 12

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaWorld]:
    """Twelve originals with records, whose replica the region keeps."""
    with replica_world(tmp_path_factory.mktemp("replica")) as found:
        found.publish(*found.names(COUNT))
        found.choose(REPLICA)
        found.wait(lambda: found.report().originals == COUNT)
        found.wait(lambda: found.is_heard_of(found.names(1)[0]))
        yield found


def restart(world: ReplicaWorld, name: str) -> None:
    world.running[name].start()
    asyncio.run(world.running[name].wait_ready())


@pytest.fixture
def without_origin(world: ReplicaWorld) -> Iterator[None]:
    world.running["origin"].kill()
    yield
    restart(world, "origin")


def test_every_original_crosses_the_middle_mile_once(world: ReplicaWorld) -> None:
    """However many edges ask, and in however many forms."""
    names = world.names(COUNT)
    size = sum(len(world.original(name)) for name in names)
    images, records = world.link_bytes("images"), world.link_bytes("records")
    assert records > size, "log and originals"
    for edge in (0, 1):
        for name in names:
            assert world.detail(name, edge, "?w=768") == "replica"
            assert world.get(name, edge, "?w=512").content == world.original(name)
    assert world.link_bytes("images") == images
    assert world.link_bytes("records") - records < size / 10, "the log's heartbeats alone"
    assert world.report().bytes == size


def test_a_replica_answers_with_the_origin_down(world: ReplicaWorld, without_origin: None) -> None:
    name = world.names(COUNT)[3]
    assert world.detail(name, 0, "?w=384") == world.detail(name, 1, "?w=384") == "replica"


def test_it_outlives_the_agent_with_the_origin_down(
    world: ReplicaWorld, without_origin: None
) -> None:
    world.running["agent"].kill()
    world.running["agent"].start()
    name = world.names(COUNT)[4]

    def answers() -> bool:
        try:
            return world.get(name, 0, "?w=256").status_code == 200
        except OSError:
            return False

    world.wait(answers)
    assert world.detail(name, 1, "?w=256") == "replica"


def test_while_the_agent_is_gone_the_origin_answers(world: ReplicaWorld) -> None:
    world.running["agent"].kill()
    name = world.names(COUNT)[5]
    assert world.detail(name, 0, "?w=256") == "origin:replica"
    restart(world, "agent")
    assert world.detail(name, 1, "?w=256") == "replica"


def test_what_is_revoked_is_dropped_everywhere(world: ReplicaWorld) -> None:
    name = world.names(COUNT)[6]
    assert world.detail(name) == "replica"
    before = world.kept()
    world.revoke(name)
    world.wait(lambda: world.detail(name) == "origin:revoked")
    world.wait(lambda: len(before - world.kept()) == 1)


def test_a_full_disk_leaves_it_to_the_origin(world: ReplicaWorld) -> None:
    name = world.names(COUNT + 1)[COUNT]
    pid = world.running["agent"].process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    world.publish(name)
    world.wait(lambda: world.report().missing == 1)
    assert world.detail(name) == "origin:no-replica"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    world.wait(lambda: world.report().missing == 0)
    assert world.detail(name, 1) == "replica"


def test_edges_obey_another_choice_soon(world: ReplicaWorld) -> None:
    """How soon is printed; a bound that a busy machine keeps too is asserted."""
    name = world.names(COUNT)[7]
    for ways, detail in ((HAUL, "origin:haul"), (REPLICA, "replica")) * 3:
        world.choose(ways)
        took_s = world.wait(lambda wanted=detail: world.anew(name) == wanted, 10)
        print(f"obeyed after {took_s * 1_000:.0f} ms: {detail}")
