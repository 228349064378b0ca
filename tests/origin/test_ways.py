"""How families' misses are answered: set at the origin, told through the log."""

import shutil
from pathlib import Path

import pytest

from kvsync.errors import InputError
from kvsync.property import Ways, parse_property
from origin.console.property_files import as_toml
from origin.database import Database
from origin.sync.outbox import last_settings
from origin.sync.ways import change_ways, publish_file, set_ways, ways_of

SHOP = Path(__file__).parents[1] / "properties" / "rumba.toml"
REPLICA = {"rumba": Ways("economical", "replica")}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'origin.db'}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the property ``rumba``, which has no ways of its own."""
    folder = tmp_path / "properties"
    folder.mkdir()
    return Path(shutil.copy(SHOP, folder / "shop.toml"))


def told(database: Database) -> bytes:
    with database.reading() as session:
        return last_settings(session, "rumba") or b""


def test_ways_go_into_the_log_with_the_rest_of_the_settings(database: Database, file: Path) -> None:
    assert set_ways(database, file.parent, "rumba", REPLICA)
    found = parse_property(told(database), file)
    assert found.ways == REPLICA == ways_of(database, file.parent, "rumba")
    assert found.hosts == parse_property(file.read_bytes(), file).hosts
    assert not set_ways(database, file.parent, "rumba", REPLICA)


def test_a_file_with_an_empty_table_of_ways_has_none_of_its_own(
    database: Database, file: Path
) -> None:
    """As the console writes that of a new property."""
    file.write_text(as_toml(parse_property(file.read_bytes(), file)))
    assert set_ways(database, file.parent, "rumba", REPLICA)
    assert parse_property(told(database), file).ways == REPLICA


def test_one_family_s_ways_are_changed_beside_the_others(database: Database, file: Path) -> None:
    set_ways(database, file.parent, "rumba", REPLICA)
    hats = {"hats": Ways("resilience")}
    assert change_ways(database, file.parent, "rumba", lambda before: before | hats)
    assert ways_of(database, file.parent, "rumba") == REPLICA | hats


def test_without_ways_the_log_has_the_file_as_it_is(database: Database, file: Path) -> None:
    set_ways(database, file.parent, "rumba", REPLICA)
    assert set_ways(database, file.parent, "rumba", {})
    assert told(database) == file.read_bytes()
    assert ways_of(database, file.parent, "rumba") == {}


def test_ways_stay_when_the_file_changes(database: Database, file: Path) -> None:
    set_ways(database, file.parent, "rumba", REPLICA)
    assert not publish_file(database, file)
    file.write_text(file.read_text().replace("freshness_s = 86400", "freshness_s = 60", 1))
    assert publish_file(database, file)
    found = parse_property(told(database), file)
    assert found.freshness_s == 60 and found.ways == REPLICA


def test_ways_in_a_file_count_and_are_changed_there_alone(database: Database, file: Path) -> None:
    set_ways(database, file.parent, "rumba", REPLICA)
    file.write_text(file.read_text() + '\n[ways]\nrumba = { policy = "resilience" }\n')
    publish_file(database, file)
    assert told(database) == file.read_bytes()
    assert ways_of(database, file.parent, "rumba") == {"rumba": Ways("resilience")}
    with pytest.raises(InputError, match="ways of its own; change them there"):
        set_ways(database, file.parent, "rumba", REPLICA)


@pytest.mark.parametrize(
    ("property", "ways", "fault"),
    [
        ("hats", REPLICA, "no file of property 'hats'"),
        ("rumba", {"rumba": Ways("always", "haul")}, "for the policy 'economical' only"),
        ("rumba", {'a" b': Ways()}, "not a property file"),
    ],
)
def test_ways_that_nobody_could_obey_are_not_published(
    database: Database, file: Path, property: str, ways: dict[str, Ways], fault: str
) -> None:
    with pytest.raises(InputError, match=fault):
        set_ways(database, file.parent, property, ways)
    assert told(database) == b""
