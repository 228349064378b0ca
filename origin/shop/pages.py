"""The shop's page and the two files it needs, rendered once and then kept."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from kvsync.conditional import Conditions, entity_tag, not_modified
from origin.answer import Answer
from origin.catalogue import Catalogue
from origin.dam import AssetNotFound
from origin.shop.swatches import sample_swatches
from origin.site import Site

_FOLDER = Path(__file__).parent
_FILES = {"shop.css": "text/css; charset=utf-8", "shop.js": "text/javascript; charset=utf-8"}
_HTML = "text/html; charset=utf-8"
# Nothing from elsewhere. Blobs are the images that the script fetched, data: the empty icon.
_POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Card:
    """One picture in the grid; ``options`` is its value of each attribute, as text."""

    url: str
    title: str
    options: dict[str, str]


class Shop:
    """The gallery of ``catalogue`` as a shopper sees it, images by their own-site URLs."""

    def __init__(self, site: Site, catalogue: Catalogue) -> None:
        self._site = site
        self._catalogue = catalogue
        self._rendering = threading.Lock()

    def page(self, name: str, if_none_match: str | None) -> Answer:
        """The page itself for an empty name, else one of its files; may not be kept unasked."""
        if name and name not in _FILES:
            raise AssetNotFound(f"the shop has no {name[:80]!r}")
        body = (_FOLDER / name).read_bytes() if name else self._rendered()
        etag = entity_tag(body)
        headers = {"cache-control": "no-cache", "etag": etag, "content-security-policy": _POLICY}
        if not_modified(Conditions(if_none_match), etag, None):
            return Answer(304, headers, b"")
        headers["content-type"] = _FILES.get(name, _HTML)
        headers["content-length"] = str(len(body))
        return Answer(200, headers, body)

    def _rendered(self) -> bytes:
        with self._rendering:
            return self._html

    @cached_property
    def _html(self) -> bytes:
        swatches = sample_swatches(self._catalogue, lambda name: self._site.dam.open(name)[1])
        cards = [
            Card(
                url=self._site.prefix + quote(name),
                title=title(asset.attributes),
                options={key: str(value) for key, value in asset.attributes.items()},
            )
            for name, asset in self._catalogue.assets.items()
        ]
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return (
            environment.get_template("shop.html")
            .render(
                family=self._catalogue.family,
                cards=cards,
                hero=max(cards, key=lambda card: vividness(card, swatches)),
                attributes=self._options(swatches),
                attribution=linked(self._attribution()),
            )
            .encode()
        )

    def _options(
        self, swatches: Mapping[str, Mapping[str, str]]
    ) -> dict[str, list[tuple[str, str | None]]]:
        """For each attribute, its values with their colours."""
        return {
            name: [(str(value), swatches.get(name, {}).get(str(value))) for value in values]
            for name, values in self._catalogue.attribute_values.items()
        }

    def _attribution(self) -> str:
        path = self._catalogue.folder / "ATTRIBUTION"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def vividness(card: Card, swatches: Mapping[str, Mapping[str, str]]) -> float:
    """How colourful a card's choices are together: the picture to open the page with."""
    total = 0.0
    for name, value in card.options.items():
        colour = swatches.get(name, {}).get(value)
        if colour:
            levels = bytes.fromhex(colour.removeprefix("#"))
            total += max(levels) - min(levels)
    return total


def title(attributes: Mapping[str, Any]) -> str:
    """``black lace, red sole, front view``."""
    return ", ".join(f"{value} {name}" for name, value in attributes.items())


def linked(plain: str) -> Markup:
    """Escaped text with its ``https:`` addresses as links."""
    words = []
    for word in plain.split(" "):
        address = word.strip("(),.;")
        if address.startswith("https://"):
            before, _, after = word.partition(address)
            link = Markup('{}<a href="{}" rel="license">{}</a>{}')
            words.append(link.format(before, address, address.removeprefix("https://"), after))
        else:
            words.append(escape(word))
    return Markup(" ").join(words)
