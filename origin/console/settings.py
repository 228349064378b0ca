"""Settings of the console, read once at start from ``CONSOLE_*``; the rest are the origin's."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kvsync.errors import InputError


class ConsoleSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CONSOLE_", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8093, ge=0, le=65_535)
    # What people type; plain http only where it never leaves the machine.
    url: str = "http://localhost:8093"
    # Where the queue of jobs, uploads under way and drawn pictures are kept.
    folder: Path = Path("var/console")
    # Where ./rehydrate analyse keeps its inventory and the hit list.
    analysis: Path = Path("var/analysis")
    pictures_bytes: int = Field(2 << 30, ge=1 << 20)
    # The shop's own address, to link to what shoppers see.
    shop_url: str = "http://localhost:8080"

    @property
    def secure(self) -> bool:
        return self.url.startswith("https://")


def read_console_settings(**given: object) -> ConsoleSettings:
    """:class:`InputError` names the setting that cannot be read, or is not safe."""
    try:
        settings = ConsoleSettings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"CONSOLE_{name}: {first['msg']}") from error
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"CONSOLE_URL: {settings.url!r} is not an http or https address")
    if not settings.secure and not _stays_here(parts.hostname):
        raise InputError(
            f"CONSOLE_URL: {settings.url} would send passwords in the clear; "
            "put TLS in front and name the https address"
        )
    return settings


def _stays_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
