"""The Grafana dashboard asks for metrics that there are."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from origin.console.tables import Role
from origin.ledger.intake import Ledger
from tests.origin.dashboard.ledger_world import answers, count, some_of_everything

PANELS = Path(__file__).parents[3] / "deploy" / "grafana" / "savings.json"


def test_every_panel_asks_for_a_metric_that_the_console_tells(
    api: Callable[[Role], httpx2.Client], ledger: Ledger
) -> None:
    mismatch = answers("origin", 1, reason="fingerprint")
    count(ledger, time.time(), [*some_of_everything(), mismatch])
    told = api("viewer").get("/metrics").text
    samples = [line for line in told.splitlines() if not line.startswith("#")]
    panels = json.loads(PANELS.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    for expression in asked:
        for name, labels in re.findall(r"(rehydration_\w+)(?:\{([^}]*)\})?", expression):
            wanted = re.findall(r'(\w+)="([^"$]+)"', labels)
            found = [
                line
                for line in samples
                if re.match(rf"{name}(\{{| )", line)
                and all(f'{label}="{value}"' in line for label, value in wanted)
            ]
            assert found, f"{name} {wanted} is not among the metrics"
