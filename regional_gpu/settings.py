"""Everything a region is told at its start, read once from ``REGION_*`` variables."""

from pathlib import Path
from typing import Annotated

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from kvsync.agent.settings import Urls
from kvsync.errors import InputError


class RegionSettings(BaseSettings):
    """One region; sizes in bytes, times in the unit that the name says.

    The folders below ``var/`` belong to this region alone.
    """

    model_config = SettingsConfigDict(env_prefix="REGION_", frozen=True, extra="ignore")

    name: str = "local"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8083

    trusted_keys: Path = Path("var/keys/trusted.json")
    properties_dir: Path = Path("deploy/properties")
    origin_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/?$")] = "http://127.0.0.1:8082"

    # Other regions' services, asked for a model that the origin does not give.
    neighbours: Urls = ()

    # The region's record store, read for tombstones before an image is made; none: not read.
    store_url: str = ""

    models_dir: Path = Path("var/region/models")
    models_disk_bytes: PositiveInt = 8 << 30
    model_memory_bytes: PositiveInt = 2 << 30
    # Of what recipes name that is too large for their records.
    payloads_dir: Path = Path("var/region/payloads")
    payloads_disk_bytes: PositiveInt = 8 << 30
    renditions_dir: Path = Path("var/region/renditions")
    renditions_bytes: PositiveInt = 1 << 30

    # What the service counted and the ledger does not have yet, and for how long it is kept.
    ledger_dir: Path = Path("var/region/ledger")
    ledger_keep_s: PositiveFloat = 30 * 86_400.0

    # Pictures that wait or are being made; one more is refused at once.
    max_queue: PositiveInt = 256
    max_batch: PositiveInt = 8
    # What an idle region waits for company after a first job. A busy one gathers by itself.
    batch_window_ms: NonNegativeFloat = 1.0
    # One in so many renditions is decoded again and compared with the approved fingerprint.
    decoded_check_every: PositiveInt = 100
    # Cores for generation; 0 leaves the choice to torch.
    threads: NonNegativeInt = 0
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$")] = "cpu"


def read_settings() -> RegionSettings:
    """The settings of this process; :class:`InputError` names each variable that is wrong."""
    try:
        return RegionSettings()
    except ValidationError as error:
        faults = "; ".join(
            f"REGION_{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InputError(f"settings refused: {faults}") from error
