"""The dashboard's numbers as Prometheus gauges, for whoever has a viewer's token."""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from origin.dashboard.asked import Asked
from origin.dashboard.every_figure import Figure
from origin.dashboard.office import Office
from origin.dashboard.savings import PARTS, Headline
from origin.dashboard.traffic import Traffic, traffic
from origin.dashboard.view import all_figures, figures
from origin.economics.costs import Statement
from origin.ledger.running import Place

_OFFLOAD = ("answers", "misses", "kept_misses", "hauled_bytes", "avoidable_bytes")
_DEVICE = ("allocated_s", "busy_s", "images", "cost_per_image", "haul_per_image")
_PERCENTILES = {"0.5": "p50_s", "0.95": "p95_s", "0.99": "p99_s"}


def routes(office: Office) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    def ledger_metrics() -> Response:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Figures(office))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


class _Figures(Collector):
    """Gauges of today, this month and since the start, read when they are asked for."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def describe(self) -> Iterator[Metric]:
        # Reading the ledger to find the names is not worth it.
        return iter(())

    def collect(self) -> Iterator[Metric]:
        office, asked = self._office, self._office.ask(range="month")
        shown = figures(office, asked)
        yield from _money(shown["headline"])
        yield _by_place(shown["earned"].places())
        yield from _traffic(shown["traffic"])
        yield from _today(office, office.ask(range="today"))
        yield _every(all_figures(office, asked))


def _money(found: Headline) -> Iterator[Metric]:
    labels = ("period", "currency")
    saved = GaugeMetricFamily("rehydration_saved", "Net saving; below 0 a loss", labels=labels)
    parts = GaugeMetricFamily(
        "rehydration_saved_part",
        "Parts of the net saving: haul_avoided less the others",
        labels=("period", "part", "currency"),
    )
    periods = {"today": found.today, "month": found.month, "since_start": found.since_start}
    for period, many in periods.items():
        for one in many:
            saved.add_metric((period, one.currency), one.saved)
            for part in PARTS:
                parts.add_metric((period, part, one.currency), getattr(one, part))
    yield from (saved, parts)


def _by_place(places: Iterable[tuple[Place, Statement]]) -> Metric:
    gauge = GaugeMetricFamily(
        "rehydration_saved_month",
        "Net saving of this month by property and region",
        labels=("property", "region", "currency"),
    )
    for (property, region), one in places:
        gauge.add_metric((property, region, one.currency), one.saved)
    return gauge


def _traffic(found: Traffic) -> Iterator[Metric]:
    for name in _OFFLOAD:
        text = f"This month's {name.replace('_', ' ')}"
        yield GaugeMetricFamily(f"rehydration_month_{name}", text, getattr(found.offload, name))
    share = GaugeMetricFamily(
        "rehydration_origin_offload_ratio",
        "Share of this month's answers that took nothing from the origin",
        labels=("with",),
    )
    for label, value in (("caches", found.offload.before), ("rehydration", found.offload.after)):
        if value is not None:
            share.add_metric((label,), value)
    held_back = GaugeMetricFamily(
        "rehydration_month_hauled_misses", "Misses hauled this month, by reason", labels=("reason",)
    )
    for reason in found.offload.reasons:
        held_back.add_metric((reason.reason,), reason.misses)
    devices = GaugeMetricFamily(
        "rehydration_month_device",
        "This month's machines: seconds, images, cost and haul of an image",
        labels=("region", "device", "figure"),
    )
    for device in found.devices:
        for name in _DEVICE:
            if (value := getattr(device, name)) is not None:
                devices.add_metric((device.region, device.device, name), value)
    mismatches = GaugeMetricFamily(
        "rehydration_month_fingerprint_mismatches",
        "Pictures that were made and were not the approved ones",
        labels=("property", "region", "family"),
    )
    for odd in found.anomalies.mismatches:
        mismatches.add_metric((odd.property, odd.region, odd.family), odd.mismatches)
    breakers = GaugeMetricFamily(
        "rehydration_month_breaker_open_seconds",
        "Seconds that edges left a peer alone",
        labels=("region", "peer"),
    )
    for breaker in found.anomalies.breakers:
        breakers.add_metric((breaker.region, breaker.peer), breaker.open_s)
    yield from (share, held_back, devices, mismatches, breakers)


def _every(figures: Iterable[Figure]) -> Metric:
    gauge = GaugeMetricFamily(
        "rehydration_figure",
        "Every number of this month's dashboard, what others say as well included",
        labels=("group", "of", "figure", "currency"),
    )
    for one in figures:
        gauge.add_metric((one.group, one.of, one.figure, one.currency), one.value)
    return gauge


def _today(office: Office, asked: Asked) -> Iterator[Metric]:
    latency = GaugeMetricFamily(
        "rehydration_today_answer_seconds",
        "How long today's answers took, by outcome",
        labels=("outcome", "quantile"),
    )
    for way in traffic(office.reader, office.books(), asked).ways:
        for quantile, name in _PERCENTILES.items():
            if (value := getattr(way, name)) is not None:
                latency.add_metric((way.outcome, quantile), value)
    yield latency
