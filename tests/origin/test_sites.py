"""Which properties the origin serves."""

from pathlib import Path

import pytest

from kvsync.errors import InputError
from kvsync.property import parse_property
from origin import sites as module
from origin.settings import OriginSettings
from origin.sites import Sites

SHIPPED = Path(__file__).parents[2] / "deploy" / "properties" / "rumba.toml"


@pytest.fixture
def settings(tmp_path: Path) -> OriginSettings:
    for folder in ("properties", "gallery"):
        (tmp_path / folder).mkdir()
    (tmp_path / "properties" / "rumba.toml").write_bytes(SHIPPED.read_bytes())
    return OriginSettings(
        properties_dir=tmp_path / "properties",
        dam={"rumba": f"folder:{tmp_path}/gallery"},
        stores=f"folder:{tmp_path}/stores",
    )


def add_property(settings: OriginSettings, name: str) -> None:
    text = SHIPPED.read_text().replace("rumba", name).replace("localhost", f"{name}.example")
    text = text.replace("127.0.0.1", f"img.{name}.example")
    assert parse_property(text.encode(), Path(f"{name}.toml")).id == name
    (settings.properties_dir / f"{name}.toml").write_text(text)


def test_a_property_is_served_as_soon_as_it_has_a_file_and_a_place(
    settings: OriginSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    sites = Sites(settings)
    assert list(sites) == ["rumba"]
    add_property(settings, "samba")
    assert "samba" not in sites
    sites.begin_store("samba")
    sites["samba"].dam.put("a.jpg", b"one")
    # Another process finds it by itself.
    assert list(Sites(settings)["samba"].dam.list()) == ["a.jpg"]
    assert sorted(sites) == ["rumba", "samba"] and len(sites) == 2


def test_a_file_that_is_wrong_takes_nothing_away(
    settings: OriginSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    sites = Sites(settings)
    (settings.properties_dir / "broken.toml").write_text("id = ")
    assert "broken" not in sites and list(sites) == ["rumba"]
    with pytest.raises(InputError, match="broken"):
        Sites(settings)
