"""An answer of the origin before any framework sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes
