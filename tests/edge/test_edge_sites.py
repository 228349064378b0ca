"""Property files change while the edge runs: right ones come into force, wrong ones are told."""

import asyncio
from pathlib import Path

import pytest

from edge.sites import Sites
from kvsync.errors import InputError
from tests.edge.world import PROPERTY_FILE, World

TEXT = PROPERTY_FILE.read_text()


def write(folder: Path, text: str, name: str = "rumba.toml") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / name)


def test_files_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, TEXT)
    sites = Sites(tmp_path)
    assert "127.0.0.1" in sites and not sites.look()


def test_a_right_file_comes_into_force(tmp_path: Path) -> None:
    write(tmp_path, TEXT)
    sites = Sites(tmp_path)
    write(tmp_path, TEXT.replace('"127.0.0.1"', '"shop.example"'))
    assert sites.look()
    assert "shop.example" in sites and "127.0.0.1" not in sites
    write(tmp_path, TEXT.replace('id = "rumba"', 'id = "samba"'), "samba.toml")
    assert not sites.look() and "two properties" in sites.fault  # both claim the same host
    (tmp_path / "samba.toml").unlink()
    assert sites.look() and sites.fault == "" and sites.ids == ("rumba",)


@pytest.mark.parametrize(
    "text",
    ["", "id = [", TEXT + "\nunknown = 1\n", TEXT.replace("widths = [", "widths = [] # [")],
)
def test_a_wrong_file_leaves_what_runs_and_says_why(tmp_path: Path, text: str) -> None:
    write(tmp_path, TEXT)
    sites = Sites(tmp_path)
    write(tmp_path, text)
    assert not sites.look()
    assert "127.0.0.1" in sites and "rumba.toml" in sites.fault and sites.refused == 1
    assert not sites.look() and sites.refused == 1  # told once, not every second
    write(tmp_path, TEXT)
    assert sites.look() and sites.fault == ""


def test_the_first_files_must_be_right(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        Sites(tmp_path)


async def test_a_running_edge_follows_its_files(still_world: World) -> None:
    await still_world.start_edge(reload_s=0.02)
    await still_world.publish("/a.jpg")
    folder = still_world.settings["properties_dir"]
    text = (folder / "rumba.toml").read_text()
    for _ in range(2):  # the second one is a hit, which has a memory of its own
        assert (await still_world.get("/a.jpg")).headers["access-control-allow-origin"] == "*"
    write(folder, "id = [")
    await until(still_world, lambda told: "rumba.toml" in told.get("properties_fault", ""))
    assert (await still_world.get("/a.jpg")).status_code == 200
    assert await still_world.count("edge_properties_refused") == 1
    write(folder, text.replace("127.0.0.1", "shop.example"))
    await until(still_world, lambda told: "properties_fault" not in told)
    assert (await still_world.get("/a.jpg")).status_code == 421


async def until(world: World, holds) -> None:  # type: ignore[no-untyped-def]
    for _ in range(500):
        if holds((await world.admin.get("/readyz")).json()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the edge did not follow its files")


async def test_unknown_admin_routes_are_told_in_our_form(world: World) -> None:
    for method, path, status in (("GET", "/v2", 404), ("GET", "/v1/purge", 405)):
        answer = await world.admin.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert path in answer.json()["detail"] and answer.json()["error"]
