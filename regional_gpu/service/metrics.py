"""What a region counts: the ledger, the dashboard and the alerts read these."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kvsync.meter import Meter
from regional_gpu.service.device_time import DeviceTime

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RegionMetrics:
    """One registry per region. A model's label is the first 8 hex digits of its digest. ``device``
    counts for the ledger."""

    def __init__(self, device: DeviceTime | None = None) -> None:
        self.device = device or DeviceTime(Meter())
        self.registry = CollectorRegistry()
        self._add_generations()
        self._add_checks()
        self._add_renditions()
        self._add_models()

    def _add_generations(self) -> None:
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.generations = counter("region_generations_total", "Images generated", ["model"])
        self.generated_images = counter(
            "region_generated_images_total", "Generated and found to be approved", ["property"]
        )
        self.generator_seconds = counter(
            "region_generator_seconds_total", "Seconds that the accelerator was busy", ["model"]
        )
        self.refused = counter(
            "region_refused_total", "Requests answered with an error", ["reason"]
        )
        self.batch_images = histogram(
            "region_batch_images", "Images per batch", buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.stage_seconds = histogram(
            "region_stage_seconds", "Seconds per image in each stage", ["stage"], buckets=_SECONDS
        )
        self.queue = Gauge(
            "region_queue_pictures", "Pictures waiting or being made", registry=self.registry
        )

    def _add_checks(self) -> None:
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.mismatches = counter(
            "region_fingerprint_mismatches_total", "Not the approved image, never served", ["model"]
        )
        self.decoded_checks = counter(
            "region_decoded_checks_total",
            "Renditions decoded again and compared, by what came of it",
            ["outcome"],
        )
        self.calibrations = counter(
            "region_calibrations_total",
            "Times that a model's sample was made again, by what came of it",
            ["model", "outcome"],
        )
        self.calibration_distance = gauge(
            "region_calibration_distance",
            "Largest distance in a model's sample; 1 is the tolerance",
            ["model"],
        )
        self.models_refused = gauge(
            "region_models_refused", "Models here that do not draw what was approved"
        )

    def _add_renditions(self) -> None:
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.renditions = counter(
            "region_renditions_total",
            "Renditions served, by whether the region had them",
            ["cache"],
        )
        self.rendition_bytes = counter("region_rendition_bytes_total", "Bytes of renditions served")
        self.provenance_bytes = counter(
            "region_provenance_bytes_total", "Of these, bytes of provenance (XMP)"
        )
        self.cache_bytes = gauge("region_rendition_cache_bytes", "Bytes of renditions kept")
        self.cache_faults = gauge(
            "region_rendition_cache_faults", "Disk errors of the rendition cache"
        )

    def _add_models(self) -> None:
        counter = partial(Counter, registry=self.registry)
        self.model_downloads = counter(
            "region_model_downloads_total", "Models fetched from the origin"
        )
        self.model_bytes = counter("region_model_download_bytes_total", "Bytes of those models")
        self.payload_bytes = counter(
            "region_payload_download_bytes_total", "Bytes of recipes' payloads fetched"
        )
        self.payloads_held = Gauge(
            "region_payloads_held_bytes", "Bytes of payloads on disk", registry=self.registry
        )
        self.models_held = Gauge(
            "region_models_held_bytes", "Bytes of models in memory", registry=self.registry
        )

    def stage(self, stage: str, seconds: float) -> None:
        self.stage_seconds.labels(stage).observe(seconds)

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


def model_label(digest: bytes) -> str:
    return digest.hex()[:8]
