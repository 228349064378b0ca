"""The shop's page: colours found in the pictures, safe text, what a shopper may choose."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from kvsync.errors import InputError
from kvsync.property import read_property
from origin.catalogue import read_catalogue, store_names
from origin.dam import FolderDam
from origin.shop.pages import Card, Shop, linked, title, vividness
from origin.shop.swatches import sample_swatches
from origin.site import Site

ROOT = Path(__file__).parents[2]


def shop_of(gallery: Path) -> Shop:
    rules = read_property(ROOT / "deploy" / "properties" / "rumba.toml")
    return Shop(Site(rules, FolderDam(gallery / "pictures")), read_catalogue(gallery))


def test_swatches_have_the_colours_of_the_pictures() -> None:
    folder = ROOT / "origin" / "samples" / "rumba"
    whole = read_catalogue(folder)
    chosen = {
        name: asset
        for name, asset in whole.assets.items()
        if asset.attributes["lace"] in ("red", "cobalt", "volt")
    }
    catalogue = replace(whole, assets=chosen)
    swatches = sample_swatches(catalogue, lambda name: (folder / "gallery" / name).read_bytes())
    assert "view" not in swatches
    red, green, blue = bytes.fromhex(swatches["lace"]["red"][1:])
    assert red > 2 * green and red > 2 * blue
    red, green, blue = bytes.fromhex(swatches["lace"]["cobalt"][1:])
    assert blue > red and blue > green


def test_a_damaged_picture_does_not_take_the_page_down(gallery: Path) -> None:
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"not a picture")
    assert shop_of(gallery).page("", None).status == 200


def test_a_picture_beyond_all_bounds_does_not_take_the_page_down(gallery: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(gallery / "pictures" / "red-white.jpg", "PNG")
    assert shop_of(gallery).page("", None).status == 200


def test_what_the_manifest_says_is_text_never_markup(gallery: Path) -> None:
    path = gallery / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["assets"][0]["attributes"]["ink"] = "<script>alert(1)</script>'\""
    path.write_text(json.dumps(manifest))
    (gallery / "ATTRIBUTION").write_text("© <b>someone</b>, https://example.org/a?b&c.")
    page = shop_of(gallery).page("", None).body.decode()
    assert "<script>alert" not in page and "<b>someone" not in page
    assert '<a href="https://example.org/a?b&amp;c" rel="license">' in page


def test_an_attribution_without_an_address_is_left_as_it_is() -> None:
    assert linked("A & B (2021).") == "A &amp; B (2021)."
    assert linked("see (https://a.org/x).") == (
        'see (<a href="https://a.org/x" rel="license">a.org/x</a>).'
    )


def test_a_card_is_named_by_what_it_shows() -> None:
    assert title({"lace": "red", "view": "front"}) == "red lace, front view"


def test_the_page_opens_with_the_most_colourful_picture() -> None:
    swatches = {"ink": {"red": "#ff0000", "grey": "#808080"}}
    cards = [Card("/a", "a", {"ink": "grey"}), Card("/b", "b", {"ink": "red", "view": "front"})]
    assert max(cards, key=lambda card: vividness(card, swatches)).url == "/b"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["gallery/a.jpg", "gallery/b.jpg"], ["a.jpg", "b.jpg"]),
        (["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"]),
        (["x/y/a.jpg", "x/z/b.jpg"], ["y/a.jpg", "z/b.jpg"]),
        (["x/a.jpg", "b.jpg"], ["x/a.jpg", "b.jpg"]),
    ],
)
def test_names_in_the_store_lack_the_shared_folder(files: list[str], names: list[str]) -> None:
    assert store_names(files) == names


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("{", "not a gallery manifest"),
        ('{"family": "a"}', "not a gallery manifest"),
        ('{"family": "a", "assets": []}', "lists no assets"),
        ('{"family": "a", "assets": [{"file": "../b", "attributes": {}}]}', "outside"),
        ('{"family": "a", "assets": [{"file": "/b", "attributes": {}}]}', "outside"),
    ],
)
def test_a_bad_manifest_is_one_line(tmp_path: Path, manifest: str, says: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=says):
        read_catalogue(tmp_path)
