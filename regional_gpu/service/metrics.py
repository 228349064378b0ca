"""What a region counts: the ledger, the dashboard and the alerts read these."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RegionMetrics:
    """One registry per region. A model's label is the first 8 hex digits of its digest."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.generations = Counter(
            "region_generations_total", "Images generated", ["model"], registry=registry
        )
        self.generated_images = Counter(
            "region_generated_images_total",
            "Images generated and found to be the approved ones",
            ["property"],
            registry=registry,
        )
        self.generator_seconds = Counter(
            "region_generator_seconds_total",
            "Seconds that the accelerator was busy",
            ["model"],
            registry=registry,
        )
        self.mismatches = Counter(
            "region_fingerprint_mismatches_total",
            "Generations that were not the approved image, never served",
            ["model"],
            registry=registry,
        )
        self.refused = Counter(
            "region_refused_total", "Requests answered with an error", ["reason"], registry=registry
        )
        self.renditions = Counter(
            "region_renditions_total",
            "Renditions served, by whether the region had them",
            ["cache"],
            registry=registry,
        )
        self.rendition_bytes = Counter(
            "region_rendition_bytes_total", "Bytes of renditions served", registry=registry
        )
        self.provenance_bytes = Counter(
            "region_provenance_bytes_total",
            "Of these, bytes of provenance (XMP)",
            registry=registry,
        )
        self.model_downloads = Counter(
            "region_model_downloads_total", "Models fetched from the origin", registry=registry
        )
        self.model_bytes = Counter(
            "region_model_download_bytes_total", "Bytes of those models", registry=registry
        )
        self.batch_images = Histogram(
            "region_batch_images",
            "Images per batch",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "region_stage_seconds",
            "Seconds per image in each stage",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue = Gauge(
            "region_queue_pictures", "Pictures waiting or being made", registry=registry
        )
        self.cache_bytes = Gauge(
            "region_rendition_cache_bytes", "Bytes of renditions kept", registry=registry
        )
        self.models_held = Gauge(
            "region_models_held_bytes", "Bytes of models in memory", registry=registry
        )

    def stage(self, stage: str, seconds: float) -> None:
        self.stage_seconds.labels(stage).observe(seconds)

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


def model_label(digest: bytes) -> str:
    return digest.hex()[:8]
