"""Settings of a region's agent: frozen, read once from ``SYNC_*`` variables."""

import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kvsync.errors import InputError


def _several(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return tuple(part.strip() for part in value.split(",") if part.strip())


Url = Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/?$")]
Urls = Annotated[tuple[Url, ...], NoDecode, BeforeValidator(_several)]
Names = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")], ...],
    NoDecode,
    BeforeValidator(_several),
]


class SyncSettings(BaseSettings):
    """One region; lists are separated by commas or JSON."""

    model_config = SettingsConfigDict(env_prefix="SYNC_", frozen=True)

    region: str = Field("local", pattern=r"^[A-Za-z0-9._-]{1,40}$")
    host: str = "127.0.0.1"
    port: int = Field(8089, ge=0, le=65_535)
    trusted_keys: Path = Path("var/keys/trusted.json")
    # The properties that this region serves; it holds no others.
    properties: Names
    # Where the settings that the log carries are written, for edges to read; none: nowhere.
    properties_dir: Path | None = None
    origin_url: Url = "http://127.0.0.1:8082"
    token: SecretStr = SecretStr("")
    # How long the origin may hold an answer back while there is nothing new.
    poll_s: PositiveFloat = 1.0
    # How far the process steps back behind others of its machine: applying much must not make
    # shoppers wait.
    nice: int = Field(0, ge=0, le=19)
    store_url: str = "redis://127.0.0.1:6379"
    store_timeout_ms: PositiveInt = 5_000
    # The region's GPU services, which hold models and keep renditions.
    region_urls: Urls = ()
    # The admin addresses of its edges, which purge their own caches and those in front of them.
    edge_admins: Urls = ()
    # Agents of other regions, asked for newer heartbeats while the origin does not answer.
    neighbours: Urls = ()
    report_s: PositiveFloat = 2.0
    # How often all that is held is compared with the origin; 0: only when it is asked for.
    compare_s: NonNegativeFloat = 3_600.0
    # What this agent counted and the origin does not know yet, and what it is kept at most.
    ledger_dir: Path = Path("var/ledger")
    ledger_keep_s: PositiveFloat = 30 * 86_400.0
    # How often what edges and GPU services counted is brought to the origin.
    ledger_s: PositiveFloat = 5.0
    # Originals of families that this region keeps a replica of, for its edges; none: it keeps none.
    replica_dir: Path | None = None
    # Of one property; what does not fit is left out and named.
    replica_bytes: PositiveInt = 4 << 30
    # A clock that is off by more than this is told of.
    clock_tolerance_s: PositiveFloat = 2.0


def read_settings(**given: Any) -> SyncSettings:
    """The settings of this process; :class:`InputError` names the variable and the fault."""
    try:
        settings = SyncSettings(**given)
    except ValidationError as error:
        faults = (
            f"SYNC_{'_'.join(str(part) for part in fault['loc'][:1]).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InputError("; ".join(faults)) from error
    if not settings.properties:
        raise InputError("SYNC_PROPERTIES: name at least one property that this region serves")
    if settings.replica_dir is not None and settings.properties_dir is None:
        raise InputError("SYNC_REPLICA_DIR: set SYNC_PROPERTIES_DIR too, which names the families")
    if urlsplit(settings.origin_url).scheme == "http" and not _is_loopback(settings.origin_url):
        raise InputError("SYNC_ORIGIN_URL: use https://; plain HTTP is for the same machine only")
    return settings


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
