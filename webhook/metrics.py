"""The receiver's metrics, in the format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from webhook.spool_file import SpoolFigures

ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class ReceiverMetrics:
    """The metrics of one app, in a registry of its own, so that a process may have several apps."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "webhook_requests",
            "Answers to pushes and probes.",
            ["path", "status"],
            registry=self._registry,
        )
        self._bytes = Counter(
            "webhook_kept_bytes", "Bytes of pushes that were kept.", registry=self._registry
        )
        self._batch = Histogram(
            "webhook_commit_rows", "Pushes in one commit.", buckets=ROWS, registry=self._registry
        )
        self._seconds = Histogram(
            "webhook_commit_seconds",
            "Time of one commit.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._gauges = {
            "rows": Gauge(
                "webhook_spool_rows", "Pushes that wait for the drain.", registry=self._registry
            ),
            "oldest_age_s": Gauge(
                "webhook_spool_oldest_age_seconds",
                "Age of the oldest push that waits for the drain.",
                registry=self._registry,
            ),
            "bytes": Gauge(
                "webhook_spool_bytes",
                "Size of the spool file and its WAL.",
                registry=self._registry,
            ),
            "free_bytes": Gauge(
                "webhook_spool_free_bytes",
                "Free bytes on the disk of the spool.",
                registry=self._registry,
            ),
        }

    def answered(self, path: str, status: int) -> None:
        """Count an answer; `path` is one of the push paths, or "other"."""
        self._requests.labels(path, str(status)).inc()

    def kept(self, size: int) -> None:
        """Count a push of `size` bytes that is on disk."""
        self._bytes.inc(size)

    def committed(self, rows: int, seconds: float) -> None:
        """Count a commit of the spool."""
        self._batch.observe(rows)
        self._seconds.observe(seconds)

    def text(self, figures: SpoolFigures) -> bytes:
        """All metrics, with these figures of the spool."""
        for name, gauge in self._gauges.items():
            gauge.set(getattr(figures, name))
        return generate_latest(self._registry)
