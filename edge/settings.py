"""Settings of an edge: frozen, read once from ``EDGE_*`` environment variables, passed in."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kvsync.errors import InputError

_URL = r"^https?://[^/?#\s]+/?$"


class EdgeSettings(BaseSettings):
    """One edge worker; the property files say what it serves."""

    model_config = SettingsConfigDict(env_prefix="EDGE_", frozen=True)

    # Names this cache in Cache-Status, where it must be a token (RFC 9651 section 3.3.4).
    node: str = Field("edge-1", pattern=r"^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$")
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    admin_host: str = "127.0.0.1"
    admin_port: int = Field(8081, ge=0, le=65_535)
    # Processes that share the ports and the cache: one per core to spare.
    workers: int = Field(1, ge=1, le=256)
    properties_dir: Path = Path("deploy/properties")
    # Changed property files are in force after this long, where they are right.
    reload_s: float = Field(0.2, gt=0)
    trusted_keys: Path
    store_url: str = "redis://127.0.0.1:6379"
    store_timeout_ms: int = Field(250, gt=0)
    # After a time-out the store is left alone this long, so that a hung one is paid for once.
    store_rest_ms: int = Field(2_000, gt=0)
    # Nearest first; a comma-separated or JSON list. Empty: everything comes from the origin.
    region_urls: Annotated[tuple[Annotated[str, Field(pattern=_URL)], ...], NoDecode] = ()
    region_failures_to_open: int = Field(3, gt=0)
    region_rest_ms: int = Field(2_000, gt=0)
    # Calls under way to one region; one more goes elsewhere at once.
    region_concurrency: int = Field(64, gt=0)
    # Where the region keeps its replica of originals: its agent. None: it keeps none.
    replica_url: str = Field("", pattern=f"^$|{_URL}")
    origin_url: str = Field(pattern=_URL)
    # Where the origin's name may lead besides public addresses, like 10.1.0.0/16.
    origin_networks: Annotated[tuple[str, ...], NoDecode] = ()
    origin_failures_to_open: int = Field(3, gt=0)
    origin_rest_ms: int = Field(2_000, gt=0)
    # Requests under way to the origin; as many again wait for their turn, each a second at most.
    origin_concurrency: int = Field(128, gt=0)
    # Misses under way; one more is answered 503 unless something stale will do.
    max_fills: int = Field(1_000, gt=0)
    # How long, and how many, others wait for one fill before one of them begins another.
    coalesce_wait_ms: int = Field(2_000, gt=0)
    coalesce_most: int = Field(256, gt=0)
    cache_dir: Path
    cache_bytes: int = Field(512 << 20, ge=1 << 20)
    # Of those in demand, each worker holds this much in memory as well.
    memory_bytes: int = Field(64 << 20, ge=0)
    # Records held for when the store cannot be asked: half a kilobyte each.
    records_bytes: int = Field(64 << 20, ge=1 << 20)
    # A record that was looked up is not looked up again for so long: purges tell of changes.
    records_local_s: float = Field(10.0, ge=0)
    # Larger bodies stream through and are not kept.
    body_limit_bytes: int = Field(32 << 20, gt=0)
    # How long past its freshness an answer that does not say may stand in for peers that are gone.
    stale_if_error_s: int = Field(86_400, ge=0)
    # A file, or a pipe like /dev/stdout; none is written without it.
    access_log: str = ""
    # Caches in front of this one, told of purges: an nginx's folder, Varnishes by URL.
    nginx_cache_dir: Path | None = None
    varnish_urls: Annotated[tuple[Annotated[str, Field(pattern=_URL)], ...], NoDecode] = ()
    # What was counted and the ledger does not have yet is kept so long.
    ledger_keep_s: float = Field(30 * 86_400.0, gt=0)
    shutdown_grace_s: int = Field(5, gt=0)

    @property
    def ledger_dir(self) -> Path:
        """Where all workers keep what they counted until the ledger has it."""
        return self.cache_dir / "ledger"

    @property
    def metrics_dir(self) -> Path:
        """Where workers tell one another what they have counted."""
        return self.cache_dir / "metrics"

    @field_validator("region_urls", "origin_networks", "varnish_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return tuple(part.strip() for part in value.split(",") if part.strip())


def read_settings(**given: Any) -> EdgeSettings:
    """The settings of this process; :class:`InputError` names the variable and the fault."""
    try:
        return EdgeSettings(**given)
    except ValidationError as error:
        faults = (
            f"EDGE_{'_'.join(str(part) for part in fault['loc'][:1]).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InputError("; ".join(faults)) from error
