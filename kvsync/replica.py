"""Originals that a region keeps for its edges: where they are asked for, and which fit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from kvsync.record import Natural

REPLICA_PATH = "/v1/replica"
ORIGINALS_PATH = "/v1/originals"


def replica_path(property: str, digest: bytes) -> str:
    """Where a region has its copy of the original with this BLAKE2b-256, for its edges."""
    return f"{REPLICA_PATH}/{property}/{digest.hex()}"


def original_path(property: str, key: bytes) -> str:
    """Where the origin has the original of an asset, for regions."""
    return f"{ORIGINALS_PATH}/{property}/{key.hex()}"


class ReplicaReport(msgspec.Struct, frozen=True):
    """What a region keeps of a property's originals, and what it lacks.

    ``missing`` are still to be pulled, ``left_out`` do not fit into the property's share of the
    disk; ``fault`` says what is in the way, empty where nothing is.
    """

    originals: Natural = 0
    bytes: Natural = 0
    missing: Natural = 0
    left_out: Natural = 0
    left_out_bytes: Natural = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Fitting:
    """Digests of the originals that are to be kept, and how many (bytes) do not fit."""

    kept: frozenset[bytes]
    left_out: int = 0
    left_out_bytes: int = 0


def fitting(wanted: Mapping[bytes, int], held: Collection[bytes], max_bytes: int) -> Fitting:
    """Which of the ``wanted`` (size by digest) fit into ``max_bytes``; those that are ``held``
    come first, so that nothing is dropped for something new."""
    kept: set[bytes] = set()
    used = left_out = left_out_bytes = 0
    for digest in sorted(wanted, key=lambda one: (one not in held, one)):
        size = wanted[digest]
        if used + size <= max_bytes:
            used += size
            kept.add(digest)
        else:
            left_out += 1
            left_out_bytes += size
    return Fitting(frozenset(kept), left_out, left_out_bytes)
