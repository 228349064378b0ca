"""Property files, hosts and header templates."""

from pathlib import Path

import pytest

from kvsync.errors import InputError, UnknownHost
from kvsync.property import (
    Property,
    Ways,
    hosts_to_properties,
    property_of_host,
    read_properties,
    read_property,
)

GOOD = """
id = "shop"
hosts = ["shop.example"]

[query]
significant = ["v"]
rendition = { w = "width" }

[headers]
Surrogate-Key = "{property} {family} {asset}"

[renditions]
widths = [384, 768]
qualities = [85]
encode_budget_ms = 100

[[renditions.formats]]
format = "avif"
quality = 85
score = 88.2
encode_ms = 139
score_goal = 85

[[renditions.formats]]
format = "jpeg"
quality = 92
score = 88.6
encode_ms = 1.5
score_goal = 85
"""


def write(folder: Path, text: str, name: str = "shop.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_property_file_is_read(tmp_path: Path) -> None:
    shop = read_property(write(tmp_path, GOOD))
    assert shop.id == "shop" and shop.query.significant == ("v",)
    assert shop.image_headers("rumba", "00ff") == {"surrogate-key": "shop rumba 00ff"}


def test_a_format_over_the_encode_budget_is_not_offered(tmp_path: Path) -> None:
    shop = read_property(write(tmp_path, GOOD))
    assert [rule.format for rule in shop.renditions.offered()] == ["jpeg"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('id = "shop"', "", "missing required field `id`"),
        ('id = "shop"', "id = ", "not a property file"),
        ('id = "shop"', 'id = "shop"\nfreshnes_s = 5', "unknown field `freshnes_s`"),
        ('id = "shop"', 'id = ""', "id must be 1 to 40 letters, digits and dashes"),
        ('id = "shop"', 'id = "shöp"', "id must be 1 to 40 letters"),
        ('id = "shop"', 'id = "a}b"', "id must be 1 to 40 letters"),
        ('id = "shop"', f'id = "{"a" * 41}"', "id must be 1 to 40 letters"),
        ('id = "shop"', 'id = "shop"\nfreshness_s = -1', r">= 0 - at `\$.freshness_s`"),
        ('id = "shop"', 'id = "shop"\nkey_version = 2', "key_version 2 is not known"),
        ('["shop.example"]', "[]", "hosts must name at least one host"),
        ("shop.example", "http://shop.example", "'http://shop.example' must be a bare name"),
        ("shop.example", "shop.example:8080", "must be a bare name, without scheme or port"),
        ("shop.example", "shop.example.", "must be a bare name"),
        ('["v"]', '["v", "w"]', "parameter 'w' is in two classes"),
        ('["v"]', '["v", "v"]', "parameter 'v' is in two classes"),
        ('["v"]', '["size (cm)"]', "parameter 'size .cm.' may have only letters"),
        ('"width"', '"depth"', "query.rendition maps to unknown depth"),
        ("[384, 768]", "[]", "at least one width and one quality"),
        ("[384, 768]", "[0]", r">= 1 - at `\$.renditions.widths"),
        ("[85]", "[101]", "<= 100"),
        ('format = "avif"', 'format = "gif"', "gif"),
        ("encode_budget_ms = 100", "encode_budget_ms = 1", "no format meets its score goal"),
        ("{asset}", "{colour}", "header template names unknown 'colour'"),
        ("{asset}", "{asset.size}", "header template names unknown"),
        ("{asset}", "{asset[x]}", "header template names unknown"),
        ("{asset}", "{", "header template '.property. .family. {'"),
        ("{asset}", "{}", "header template names unknown ''"),
        ("{asset}", "{asset:>99999999999}", "write {asset}, without a format"),
        ("{asset}", "{asset!r}", "write {asset}, without a format"),
        ("[query]", '[ways]\n"a b" = {}\n[query]', "Expected `str` matching regex"),
        ("[query]", '[ways]\nhats = { policy = "never" }\n[query]', "Invalid enum value 'never'"),
        ("[query]", '[ways]\nhats = { way = "swim" }\n[query]', "Invalid enum value 'swim'"),
        ("[query]", '[ways]\nhats = { way = "haul" }\n[query]', "for the policy 'economical' only"),
        ("{asset}", "\\r\\nSet-Cookie: a", "header 'surrogate-key' has characters"),
        ("Surrogate-Key", "Transfer-Encoding", "header 'transfer-encoding' is not a template's"),
        ("Surrogate-Key", "ETag", "header 'etag' is not a template's to set"),
        ("Surrogate-Key", '"Surrogate Key"', "header 'surrogate key' has characters"),
    ],
)
def test_a_fault_in_a_property_file_is_named(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError, match=fault) as caught:
        read_property(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_the_ways_of_a_familys_misses_are_read(tmp_path: Path) -> None:
    chosen = '[ways]\nhats = { policy = "economical", way = "replica" }\n'
    shop = read_property(write(tmp_path, GOOD + chosen))
    assert shop.ways == {"hats": Ways("economical", "replica")}
    assert shop.ways_of("hats").way == "replica" and shop.ways_of("shoes") == Ways("always")


def test_a_property_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(InputError, match=f"{path}: cannot read the property file"):
            read_property(path)
    (tmp_path / "latin.toml").write_bytes(b'id = "sh\xf6p"')
    with pytest.raises(InputError, match="latin.toml: not a property file"):
        read_property(tmp_path / "latin.toml")


def test_a_folder_of_property_files_is_read_by_id(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("shop", "other"), "other.toml")
    assert sorted(read_properties(tmp_path)) == ["other", "shop"]


def test_an_empty_or_missing_folder_of_property_files_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=f"{folder}: no property file"):
            read_properties(folder)


def test_two_files_may_not_define_one_property_or_host(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "twice.toml")
    with pytest.raises(InputError, match=r"twice.toml: property 'shop' is defined twice"):
        read_properties(tmp_path)
    write(tmp_path, GOOD.replace('"shop"', '"other"').replace("shop.ex", "SHOP.ex"), "twice.toml")
    with pytest.raises(InputError, match="belongs to two properties"):
        read_properties(tmp_path)


@pytest.mark.parametrize(
    "host",
    [
        "shop.example",
        "Shop.EXAMPLE",
        "shop.example:8080",
        "shop.example:",
        "shop.example.",
        "shop.example.:443",
        "[::1]",
        "[::1]:8080",
    ],
)
def test_a_host_is_found_with_or_without_port_and_final_dot(site: Property, host: str) -> None:
    assert property_of_host(host, hosts_to_properties([site])) is site


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        ".",
        "other.example",
        "shop.example..",
        "shop.example:80:80",
        "shop.example:http",
        "shop.example:٨",
        "shop.example@other.example",
        "other.example shop.example",
        "shop.example\n",
        "::1",
        "[::1",
        "[::2]",
        "ſhop.example",
    ],
)
def test_any_other_host_is_misdirected(site: Property, host: str) -> None:
    with pytest.raises(UnknownHost) as caught:
        property_of_host(host, hosts_to_properties([site]))
    assert caught.value.status == 421
