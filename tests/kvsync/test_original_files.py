"""Originals on a region's disk: whole and checked, or not there."""

import hashlib
from pathlib import Path

import pytest

from kvsync.agent.original_files import OriginalFiles
from kvsync.errors import InputError
from kvsync.replica import fitting

BODY = bytes(range(256)) * 40
DIGEST = hashlib.blake2b(BODY, digest_size=32).digest()


@pytest.fixture
def files(tmp_path: Path) -> OriginalFiles:
    return OriginalFiles(tmp_path)


def keep(files: OriginalFiles, body: bytes) -> bytes:
    digest = hashlib.blake2b(body, digest_size=32).digest()
    files.add(digest, body, 0)
    assert files.finish(digest)
    return digest


def test_an_original_is_there_once_it_is_whole(files: OriginalFiles) -> None:
    files.add(DIGEST, BODY[:5_000], 0)
    assert files.read(DIGEST) is None and files.begun(DIGEST) == 5_000
    files.add(DIGEST, BODY[5_000:], 5_000)
    assert files.finish(DIGEST)
    assert files.read(DIGEST) == BODY and files.bytes == len(BODY)
    assert files.begun(DIGEST) == 0


def test_it_is_there_for_the_next_process(files: OriginalFiles, tmp_path: Path) -> None:
    keep(files, BODY)
    again = OriginalFiles(tmp_path)
    assert again.read(DIGEST) == BODY and again.held == {DIGEST: len(BODY)}


def test_what_is_another_original_is_not_kept(files: OriginalFiles) -> None:
    files.add(DIGEST, BODY[1:], 0)
    assert not files.finish(DIGEST)
    assert files.held == {} and files.begun(DIGEST) == 0


def test_beginning_anew_forgets_what_was_begun(files: OriginalFiles) -> None:
    files.add(DIGEST, b"something longer than that" * 1_000, 0)
    files.add(DIGEST, BODY, 0)
    assert files.finish(DIGEST)


def test_what_the_disk_changed_is_not_given(files: OriginalFiles, tmp_path: Path) -> None:
    keep(files, BODY)
    (tmp_path / DIGEST.hex()).write_bytes(b"rotten")
    assert files.read(DIGEST) is None and files.held == {} and files.bytes == 0


def test_all_others_are_dropped(files: OriginalFiles, tmp_path: Path) -> None:
    kept, dropped = keep(files, b"kept"), keep(files, b"dropped")
    files.add(DIGEST, b"begun", 0)
    files.keep_only({kept})
    assert set(files.held) == {kept} and files.bytes == 4
    assert [path.name for path in tmp_path.iterdir()] == [kept.hex()]
    assert files.read(dropped) is None


def test_a_disk_that_takes_nothing_is_named(files: OriginalFiles, tmp_path: Path) -> None:
    tmp_path.rmdir()
    with pytest.raises(InputError, match="cannot keep originals there: No such file"):
        files.add(DIGEST, BODY, 0)
    (tmp_path).write_text("a file")
    with pytest.raises(InputError, match="cannot keep originals there"):
        OriginalFiles(tmp_path)


def test_what_does_not_fit_is_counted_and_nothing_is_dropped_for_it() -> None:
    wanted = {b"a": 60, b"b": 50, b"c": 40}
    assert fitting(wanted, (), 100).kept == {b"a", b"c"}
    held = fitting(wanted, {b"b", b"c"}, 100)
    assert held.kept == {b"b", b"c"} and (held.left_out, held.left_out_bytes) == (1, 60)
    assert fitting(wanted, {b"b"}, 1_000).kept == set(wanted)
