"""The alerts wait for what the origin and regions' agents tell, and see the first of everything."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from deploy.layout import ROOT
from kvsync.agent.metrics import SyncMetrics
from origin.database import Database
from origin.settings import OriginSettings
from origin.sync.metrics import LogMetrics
from origin.sync.service import open_log

RULES = ROOT / "deploy" / "prometheus" / "sync.yaml"
OPERATIONS = ROOT / "docs" / "operations.md"
# Series and what they raise, in the form of `promtool test rules`.
TRIED = Path(__file__).with_name("sync_alerts.yaml")
PROMTOOL = shutil.which("promtool")


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    alert: str
    expr: str
    annotations: dict[str, str]
    hold: str = msgspec.field(name="for", default="0s")


class Group(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rules: list[Rule]


class File(msgspec.Struct, forbid_unknown_fields=True):
    groups: list[Group]


def rules() -> list[Rule]:
    return [
        rule
        for group in msgspec.yaml.decode(RULES.read_bytes(), type=File).groups
        for rule in group.rules
    ]


@pytest.fixture
def told(tmp_path: Path) -> str:
    """What an agent of the property ``shop`` and an origin tell before anything happened."""
    agent, origin = SyncMetrics(), CollectorRegistry()
    agent.follow("shop")
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    LogMetrics(open_log(OriginSettings().kept_in(tmp_path), database), origin)
    database.close()
    return (agent.exposition() + generate_latest(origin)).decode()


def test_every_alert_waits_for_a_metric_that_there_is(told: str) -> None:
    for rule in rules():
        for name in re.findall(r"(?:sync|origin)_\w+", rule.expr):
            assert f"# TYPE {name.removesuffix('_total')}" in told, rule.alert


def test_what_is_counted_begins_at_zero(told: str) -> None:
    for rule in rules():
        for name, reasons in re.findall(r'increase\((\w+)(?:\{reason=~?"([^"]+)"\})?', rule.expr):
            for reason in reasons.split("|"):
                labels = f'property="shop",reason="{reason}"' if reason else 'property="shop"'
                assert f"{name}{{{labels}}} 0.0" in told, rule.alert


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool on this machine")
def test_each_alert_fires_for_what_it_is_for_and_none_for_less() -> None:
    command = [str(PROMTOOL), "test", "rules", str(TRIED)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_is_tried() -> None:
    tried = TRIED.read_text()
    assert [one.alert for one in rules() if f"alertname: {one.alert}\n" not in tried] == []


def test_operators_are_told_of_every_metric_that_alerts() -> None:
    text = OPERATIONS.read_text()
    for rule in rules():
        for name in re.findall(r"(?:sync|origin)_\w+", rule.expr):
            assert name.removesuffix("_total") in text, rule.alert
        for reasons in re.findall(r'reason=~?"([^"]+)"', rule.expr):
            assert [
                one
                for one in reasons.split("|")
                if f"`{one}`" not in text and f'"{one}"' not in text
            ] == []
