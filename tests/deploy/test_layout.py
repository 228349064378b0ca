"""Ports, folders and keys of one machine."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.layout import HOST, Ports, State
from kvsync.errors import InputError
from kvsync.signing import Keyring, SigningKey


def test_a_busy_port_is_named_with_what_it_is_for() -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        port = holder.getsockname()[1]
        one, several = Ports.free(), Ports.free(2)
        busy = replace(one.regions[0], edge=port)
        with pytest.raises(InputError, match=rf"port {port} \(edge\) is in use"):
            replace(one, regions=(busy,)).check_free()
        with pytest.raises(InputError, match=rf"port {port} \(asia-east edge\) is in use"):
            replace(several, regions=(several.regions[0], busy)).check_free()


@pytest.mark.parametrize("ports", [Ports.free(3), Ports.starting_at(8080, 3)])
def test_no_two_listeners_share_a_port(ports: Ports) -> None:
    numbers = [port for _, port in ports.named()]
    assert len(set(numbers)) == len(numbers) == 36


def test_each_region_has_a_block_of_ports() -> None:
    ports = Ports.starting_at(8080, 3)
    assert ports.origin == 8082
    assert [one.edge for one in ports.regions] == [8080, 8100, 8120]
    assert [one.region for one in ports.regions] == [8083, 8103, 8123]


def test_free_ports_are_free() -> None:
    Ports.free().check_free()


def test_the_first_start_makes_keys_that_only_the_owner_reads(tmp_path: Path) -> None:
    state = State(tmp_path / "var")
    state.prepare()
    assert state.signing_key.stat().st_mode & 0o777 == 0o600
    key = SigningKey.load_or_create(state.signing_key)
    assert Keyring.read(state.trusted_keys).open(key.sign(b"body"), "rumba") == b"body"


def test_each_region_has_a_folder_of_its_own(tmp_path: Path) -> None:
    state = State(tmp_path / "var")
    state.prepare(["europe-west", "asia-east"])
    assert (state.region("europe-west") / "valkey").is_dir()
    assert state.region("europe-west") != state.region("asia-east")


def test_a_second_start_keeps_the_keys(tmp_path: Path) -> None:
    state = State(tmp_path / "var")
    state.prepare()
    before = state.signing_key.read_bytes()
    state.prepare()
    assert state.signing_key.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot keep state there"):
        State(tmp_path / "file" / "var").prepare()


def test_reset_removes_what_was_made_and_nothing_else(tmp_path: Path) -> None:
    state = State(tmp_path / "var")
    assert not state.remove()
    state.prepare()
    assert state.remove()
    assert not state.folder.exists()
    state.folder.mkdir()
    (state.folder / "letters.txt").write_text("somebody's")
    with pytest.raises(InputError, match="was not made by"):
        state.remove()
