"""Files that are whole or not there."""

import os
from pathlib import Path

import pytest

from kvsync.errors import InputError
from kvsync.files import write_file


def test_a_file_is_written_with_its_folder_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    assert write_file(path, b"data", mode=0o600)
    assert path.read_bytes() == b"data" and path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_replaced_unless_it_should_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_file(path, b"first") and write_file(path, b"second")
    assert not write_file(path, b"third", replace=False)
    assert path.read_bytes() == b"second" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("replace", [True, False])
def test_a_path_under_a_file_leaves_nothing_behind(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "file").write_bytes(b"here")
    for path in (tmp_path / "file" / "inside", tmp_path / "file" / "deep" / "inside"):
        with pytest.raises(InputError, match=f"{path}: cannot write"):
            write_file(path, b"data", replace=replace)
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"here"


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(InputError, match="folder: cannot write: Is a directory"):
        write_file(tmp_path / "folder", b"data")
    assert os.listdir(tmp_path) == ["folder"]
