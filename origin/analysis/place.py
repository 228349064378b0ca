"""A place that originals lie in, and what is listed of each.

A page is what is committed at once, so a walk that was stopped goes on after the last name of
the last page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One file: ``validator`` changes when its bytes do (a store's ETag; a folder's time)."""

    path: str
    size: int
    validator: str
    modified: str = ""
    metadata: str = ""


class Place(Protocol):
    """Where a customer's originals lie. ``errors`` say what could not be listed, ``unlisted`` are
    the beginnings of the names that therefore may still be there."""

    errors: list[str]
    unlisted: list[str]

    def pages(self, after: str) -> Iterator[list[Listed]]:
        """Files with names above ``after``, in order of their code points, at most 1,000 a page.

        :class:`kvsync.errors.OriginUnavailable` when the place stops answering midway.
        """

    def read(self, path: str) -> bytes:
        """A file's bytes. OSError or :class:`kvsync.errors.OriginUnavailable`."""
