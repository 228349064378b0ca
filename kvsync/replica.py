"""Originals that a region keeps: where it has them from, and where its edges ask for them."""

REPLICA_PATH = "/v1/replica"
ORIGINALS_PATH = "/v1/originals"


def replica_path(property: str, digest: bytes) -> str:
    """Where a region has its copy of the original with this BLAKE2b-256, for its edges."""
    return f"{REPLICA_PATH}/{property}/{digest.hex()}"


def original_path(property: str, key: bytes) -> str:
    """Where the origin has the original of an asset, for regions."""
    return f"{ORIGINALS_PATH}/{property}/{key.hex()}"
