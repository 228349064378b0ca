"""Every setting is in docs/operations.md, under the name that the environment gives it."""

import re

import pytest
from pydantic_settings import BaseSettings

from deploy.layout import ROOT
from edge.settings import EdgeSettings
from kvsync.agent.settings import SyncSettings
from origin.console.settings import ConsoleSettings
from origin.settings import OriginSettings
from regional_gpu.settings import RegionSettings

DOCUMENTED = set(re.findall(r"`([A-Z]+_[A-Z0-9_]+)`", (ROOT / "docs/operations.md").read_text()))


@pytest.mark.parametrize(
    "settings", [EdgeSettings, RegionSettings, OriginSettings, SyncSettings, ConsoleSettings]
)
def test_every_setting_is_documented_and_nothing_else(settings: type[BaseSettings]) -> None:
    prefix = settings.model_config["env_prefix"]
    fields = {f"{prefix}{name}".upper() for name in settings.model_fields}
    assert {name for name in DOCUMENTED if name.startswith(prefix)} == fields
