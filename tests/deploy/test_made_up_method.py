"""A record of a method that this version does not know, from the origin to a shopper."""

import time
from pathlib import Path

import msgspec
import pytest

from deploy.layout import SAMPLE, State
from deploy.parts import PROPERTY
from kvsync.log import Put
from kvsync.property import read_properties
from kvsync.signing import SigningKey
from origin.approved import read_approved
from origin.database import Database, next_seq
from origin.settings import open_dam
from origin.site import Site
from origin.sync.outbox import append
from tests.deploy.family_world import FamilyWorld, family_world
from tests.kvsync.golden import example_body

pytestmark = pytest.mark.slow
PATHS = [one.path for one in read_approved(SAMPLE / "approved.jsonl")][:2]


def of_a_made_up_method(world: FamilyWorld, state: State, path: str) -> None:
    """Publish a validly signed record whose recipe is by a method of a later version."""
    key = SigningKey.load_or_create(state.signing_key)
    settings = world.environment
    rules = read_properties(Path(settings["ORIGIN_PROPERTIES_DIR"]))[PROPERTY]
    site = Site(rules, open_dam(settings["ORIGIN_DAM"].partition("=")[2], None))
    database = Database(settings["ORIGIN_DATABASE_URL"])
    with database.writing() as session:
        asset, seq = site.request(path).key, next_seq(session, PROPERTY)
        fields = msgspec.to_builtins(example_body(), builtin_types=(bytes,))
        fields[1:5] = [asset, PROPERTY, "rumba", seq]
        fields[5] = ["dreamt", {"of": "laces"}]
        fields[9] = int(time.time()) + 3_600
        signed = key.sign(msgspec.msgpack.encode(fields))
        append(session, PROPERTY, [Put(seq, asset, signed)])
    database.close()


async def test_a_record_of_a_made_up_method_is_synced_stored_and_served_from_the_origin(
    tmp_path: Path,
) -> None:
    state = State(tmp_path / "state")
    async with family_world(state.folder, SAMPLE, SAMPLE / "gallery") as world:
        for path in PATHS:  # The second one shows that the first has not stopped the log.
            of_a_made_up_method(world, state, path)
            told = await world.operator("publish")  # Nothing more; it waits for the region.
            assert any("region here: confirmed" in line for line in told), told
            answer = await world.ask(path)
            assert "origin:unsupported" in answer.headers["cache-status"]
            original = (SAMPLE / "gallery" / Path(path).name).read_bytes()
            assert (answer.status_code, answer.content) == (200, original)
        status = await world.operator("sync", "status")
        assert "2 records" in status[1] and "refused 2 unsupported" in status[1], status
        compared = await world.operator("sync", "verify")
        assert "in sync" in compared[0] and "2 records" in compared[0]
