"""The delivered form of an asset: what a client may ask for and what it is given."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import Unsupported

ImageFormat = Literal["jpeg", "webp", "avif"]

Width = Annotated[int, Meta(ge=1, le=16_384)]
Quality = Annotated[int, Meta(ge=1, le=100)]

MEDIA_TYPES: dict[str, ImageFormat] = {
    "image/avif": "avif",
    "image/webp": "webp",
    "image/jpeg": "jpeg",
}


class Still(msgspec.Struct, frozen=True, array_like=True, tag="still"):
    """One encoded picture: width in pixels, quality 1 to 100 on the encoder's own scale."""

    format: ImageFormat
    width: Width
    quality: Quality

    @property
    def media_type(self) -> str:
        return f"image/{self.format}"


Rendition = Still
"""A tagged union with one member for now; a video segment will be the next."""


class FormatRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One format a property may deliver, with what a committed sweep measured for it.

    ``score`` is the delivered SSIMULACRA2 at ``quality`` (median), ``encode_ms`` the time of one
    encoding at full width on one core: ``./rehydrate bench formats``.
    """

    format: ImageFormat
    quality: Quality
    score: float
    encode_ms: float
    score_goal: float


class RenditionRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The closed set of renditions of a property; anything else is clamped into it.

    ``formats`` is in order of preference; the last one must suit every client.
    """

    widths: tuple[Width, ...]
    qualities: tuple[Quality, ...]
    encode_budget_ms: float
    formats: tuple[FormatRule, ...]

    def offered(self) -> tuple[FormatRule, ...]:
        """The formats whose quality goal and encode budget both hold, best first."""
        return tuple(
            rule
            for rule in self.formats
            if rule.score >= rule.score_goal and rule.encode_ms <= self.encode_budget_ms
        )


def parse_rendition(raw: bytes | msgspec.Raw) -> Rendition:
    """Read an array-encoded rendition.

    Raises :class:`Unsupported` for a kind, format or size that this version cannot make.
    """
    try:
        return msgspec.msgpack.decode(raw, type=Rendition)
    except UNREADABLE as error:
        raise Unsupported(f"rendition not known to this version: {error}") from error
