"""Properties that pass everything through, and what any property may say of caching."""

from pathlib import Path

import pytest

from kvsync.errors import BadRequest, InputError, PathTooLong
from kvsync.key import read_request, read_whole
from kvsync.property import Caching, Property, read_property

PLAIN = 'id = "plain"\nhosts = ["plain.example"]\npass_through = true\n'


def read(folder: Path, text: str) -> Property:
    path = folder / "plain.toml"
    path.write_text(text)
    return read_property(path)


def test_a_plain_property_needs_nothing_but_its_hosts(tmp_path: Path) -> None:
    found = read(tmp_path, PLAIN)
    assert found.pass_through and found.caching == Caching(0.0, 5, False)


@pytest.mark.parametrize(
    "more",
    [
        "[headers]\nX-A = '1'\n",
        "[query]\nsignificant = ['a']\n",
        "[caching]\nheuristic_share = 2\n",
        "[caching]\nnegative_s = -1\n",
        "[caching]\nkeeps = true\n",
    ],
)
def test_what_makes_no_sense_for_it_is_refused(tmp_path: Path, more: str) -> None:
    with pytest.raises(InputError, match="plain.toml"):
        read(tmp_path, PLAIN + more)


def test_any_other_property_needs_renditions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one width"):
        read(tmp_path, PLAIN.replace("pass_through = true\n", ""))


def test_its_query_counts_as_it_is() -> None:
    site = Property(id="plain", hosts=("plain.example",), pass_through=True)
    asked = read_whole(site, b"/a%7eb", b"b=2&a=1&a&x=%2f?\xc3\xa9")
    assert asked.canonical == "1\nplain\n/a~b\nb=2&a=1&a&x=%2F?%C3%A9"
    assert asked.key.hex() == "f365d35678acac91a4fc69ca905f6d6b"
    assert read_whole(site, b"/a", b"a&b").key != read_whole(site, b"/a", b"b&a").key
    assert read_whole(site, b"/a").key == read_request(site, b"/a").key


def test_its_targets_are_read_as_strictly() -> None:
    site = Property(id="plain", hosts=("plain.example",), pass_through=True)
    for path, query in ((b"/../a", b""), (b"/a", b"%zz"), (b"/a", b"a\nb")):
        with pytest.raises(BadRequest):
            read_whole(site, path, query)
    with pytest.raises(PathTooLong):
        read_whole(site, b"/a", b"x" * 9000)
