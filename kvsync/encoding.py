"""What decoding can raise on bytes that a stranger wrote."""

from typing import Final

UNREADABLE: Final = (ValueError, RecursionError)
"""msgspec's own errors and UnicodeDecodeError are ValueErrors; deep nesting is the other."""
