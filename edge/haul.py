"""What is fetched from the origin, counted where it is asked for: bytes, misses, and the assets
that cost most of them."""

from dataclasses import dataclass
from heapq import nlargest

from edge.tally import Tally
from kvsync.ledger import MAX_ASSET_LENGTH, MOST_CROSSED, Crossed, Row
from kvsync.property import Property
from kvsync.record import RecordBody

# How many assets are told apart within a minute: past that the smallest are forgotten.
_TOLD_APART = 2_000

Asset = tuple[str, str, str]


class Crossings:
    """Misses and bytes by property, asset and reason, since they were last told."""

    def __init__(self) -> None:
        self._by_asset: dict[Asset, tuple[int, int]] = {}

    def add(self, asset: Asset, carried: int) -> None:
        misses, before = self._by_asset.get(asset, (0, 0))
        self._by_asset[asset] = misses + 1, before + carried
        if len(self._by_asset) > _TOLD_APART:
            self._by_asset = dict(self._largest(_TOLD_APART // 2))

    def tell(self) -> tuple[Row, ...]:
        """Those that cost most; it begins anew."""
        largest = self._largest(MOST_CROSSED)
        self._by_asset = {}
        return tuple(
            Crossed(site, asset[:MAX_ASSET_LENGTH], reason, misses, carried)
            for (site, asset, reason), (misses, carried) in largest
        )

    def _largest(self, count: int) -> list[tuple[Asset, tuple[int, int]]]:
        return nlargest(count, self._by_asset.items(), key=lambda one: one[1][1])


@dataclass
class Haul:
    """One asking of the origin. What it carried, both ways, counts whatever came of it; it is a
    miss where its answer was of use, and then it could have been avoided."""

    tally: Tally
    crossings: Crossings
    asset: Asset
    answer_bytes: int = 0
    _carried: int = 0
    _of_use: bool = False

    def carried(self, asked: int, answered: int) -> None:
        """Told once, when the connection carries no more of the answer."""
        self.answer_bytes = answered
        self._carried = size = asked + answered
        self.tally.middle_mile_bytes += size
        self.crossings.add(self.asset, size)
        if self._of_use:
            self.tally.avoidable_bytes += size

    def answered(self) -> None:
        self._of_use = True
        self.tally.missed(self._carried)


class OriginHeads:
    """How long the heads of a property's originals are: that of the last one, or before there was
    one that of the property's own template."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        # By property and family, as long as the property's settings stay what they were.
        self._templates: dict[tuple[str, str], tuple[Property, int]] = {}

    def note(self, property: str, size: int) -> None:
        self._last[property] = size

    def size(self, site: Property, record: RecordBody) -> int:
        """Bytes of status line and fields of an answer with the record's original."""
        known = self._last.get(site.id)
        return self._by_template(site, record) if known is None else known

    def _by_template(self, site: Property, record: RecordBody) -> int:
        name, original = (site.id, record.family), record.original
        known, size = self._templates.get(name, (None, 0))
        if known is not site:
            size = _template_bytes(site, record)
            self._templates[name] = site, size
        own = len(original.validator) + len(original.media_type) + len(str(original.size))
        return size + own


def _template_bytes(site: Property, record: RecordBody) -> int:
    """Without what is the original's own."""
    date = "Thu, 01 Jan 1970 00:00:00 GMT"
    own = dict.fromkeys(("etag", "content-type", "content-length"), "")
    headers = site.image_headers(record.family, record.key.hex())
    fields = {**headers, **own, "last-modified": date, "date": date}
    lines = sum(len(f"{name}: {value}\r\n") for name, value in fields.items())
    return len("HTTP/1.1 200 OK\r\n\r\n") + lines
