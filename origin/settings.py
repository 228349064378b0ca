"""Settings of the origin, read once at start from ``ORIGIN_*`` and passed in."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kvsync.errors import InputError
from origin.bucket import Bucket, FolderBucket
from origin.dam import Dam, FolderDam


def _pairs(raw: object) -> object:
    """``name=value,name=value`` as a dictionary."""
    if not isinstance(raw, str):
        return raw
    pairs = [part.partition("=") for part in raw.split(",") if part.strip()]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise ValueError("write property=value, several with commas between")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _several(raw: object) -> object:
    if not isinstance(raw, str):
        return raw
    return tuple(part.strip() for part in raw.split(",") if part.strip())


class OriginSettings(BaseSettings):
    """The origin's service and its operators' commands; addresses default to those that
    ``./rehydrate up`` gives to the parts of one machine."""

    model_config = SettingsConfigDict(env_prefix="ORIGIN_", frozen=True)

    host: str = "127.0.0.1"
    port: int = 8082
    # Regions read the log over HTTPS, unless all is on one machine or a proxy ends TLS.
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    properties_dir: Path = Path("deploy/properties")
    # Property id to its asset store, folder:PATH or s3://BUCKET/PREFIX, served below /{id}/.
    dam: Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)] = {
        "rumba": "folder:origin/samples/rumba/gallery"
    }
    s3_endpoint: str | None = None
    # Below it, by its id, lie the originals of each property that ORIGIN_DAM does not name.
    stores: str = "folder:var/stores"
    # Property id to the folder of its gallery's manifest; the first one's shop is at /.
    galleries: Annotated[dict[str, Path], NoDecode, BeforeValidator(_pairs)] = {
        "rumba": Path("origin/samples/rumba")
    }
    database_url: str = "sqlite:///var/origin.db"
    # The bucket of models and of recipes' payloads, folder:PATH or s3://BUCKET/PREFIX.
    models: str = "folder:var/models"
    # Where models of a bucket on S3 are fetched to in order to be loaded here.
    models_fetched: Path = Path("var/models-fetched")
    signing_key: Path = Path("var/keys/signing.key")
    # The regions' GPU services, which say what models they hold and drop those that retire.
    regions: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_several)] = (
        "http://127.0.0.1:8083",
    )
    approval_days: int = 365
    # The server of the log's streams; regions never see it.
    log_url: str = "redis://127.0.0.1:8092"
    log_bytes: int = 256 << 20
    region_tokens: Path = Path("var/keys/regions.json")
    # The bucket that regions begin from, folder:PATH or s3://BUCKET/PREFIX.
    snapshots: str = "folder:var/snapshots"
    snapshot_s: int = 3_600
    # How often asset stores are compared with what was published, 0 for never.
    dam_watch_s: float = 60.0
    # What an asset store's notifications must bear; none are taken without it.
    dam_token: SecretStr = SecretStr("")
    # What is paid where nobody chose a price book in the console: a shipped one's name, or a file.
    prices: str = "seed"
    # Whose midnight days and months begin at, unless a page is asked for another's.
    zone: str = "UTC"
    # How often families of the policy "economical" are compared anew, 0 for never.
    decide_s: float = 3_600.0
    # For how long the ledger keeps minutes and hours; days and months it always does.
    ledger_minutes_days: PositiveInt = 30
    ledger_hours_days: PositiveInt = 400
    # The traffic is generated, and the dashboard says so.
    sample_traffic: bool = False
    # A region that cannot be heard is not waited for; one that can has this long to confirm.
    confirm_s: float = 60.0

    def kept_in(self, folder: Path) -> "OriginSettings":
        """The same, but for where database, models, keys and snapshots lie: as ``./rehydrate up``
        keeps them in the folder of its state."""
        return self.model_copy(
            update={
                "database_url": f"sqlite:///{folder.absolute() / 'origin.db'}",
                "models": f"folder:{folder / 'models'}",
                "signing_key": folder / "keys" / "signing.key",
                "region_tokens": folder / "keys" / "regions.json",
                "snapshots": f"folder:{folder / 'snapshots'}",
                "stores": f"folder:{folder / 'stores'}",
            }
        )


def read_settings() -> OriginSettings:
    """:class:`InputError` names the setting that cannot be read, and why."""
    try:
        return OriginSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"ORIGIN_{name}: {first['msg']}") from error


def store_of(settings: OriginSettings, property: str) -> str | None:
    """Where a property's originals are: ``folder:PATH`` or ``s3://BUCKET/PREFIX``, None if they
    have no place yet."""
    if (named := settings.dam.get(property)) is not None:
        return named
    if (folder := _folder_of(settings.stores, "ORIGIN_STORES")) is None:
        return f"{settings.stores.rstrip('/')}/{property}"
    return f"folder:{folder / property}" if (folder / property).is_dir() else None


def open_dam(where: str, s3_endpoint: str | None) -> Dam:
    """Open ``folder:PATH`` or ``s3://BUCKET/PREFIX``."""
    folder = _folder_of(where, "ORIGIN_DAM")
    if folder is not None:
        return FolderDam(folder)
    # boto3 takes half a second to import, and most origins here have none.
    from origin.dam_s3 import S3Dam

    return S3Dam(where, s3_endpoint)


def open_snapshots(settings: OriginSettings) -> Bucket:
    """The bucket that snapshots lie in."""
    return _open_bucket(settings.snapshots, "ORIGIN_SNAPSHOTS", settings.s3_endpoint)


def open_model_bucket(settings: OriginSettings) -> Bucket:
    """The bucket that models and payloads lie in."""
    return _open_bucket(settings.models, "ORIGIN_MODELS", settings.s3_endpoint)


def _open_bucket(where: str, setting: str, s3_endpoint: str | None) -> Bucket:
    folder = _folder_of(where, setting)
    if folder is not None:
        return FolderBucket(folder)
    from origin.bucket_s3 import S3Bucket

    return S3Bucket(where, s3_endpoint)


def _folder_of(where: str, setting: str) -> Path | None:
    """The path of ``folder:PATH``, None for a place on S3."""
    kind, _, rest = where.partition(":")
    if kind == "folder" and rest:
        return Path(rest)
    if kind == "s3":
        return None
    raise InputError(f"{setting}: {where!r} is neither folder:PATH nor s3://BUCKET/PREFIX")
