"""What the server says of itself: metrics, and how log lines look.

Metrics are declared here, in base units, and made once for each server.
"""

import contextlib
import logging
from typing import Final

import prometheus_client

# From a tiny model on loopback to the default deadline.
_LATENCY_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    60,
)  # fmt: skip
# From a handful of rows to a night's work.
_JOB_BUCKETS_S: Final = (1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400)


class PredictionMeter:
    """Counts and times the predictions of one deployed model, by response code.

    Args:
        requests: The server's counter of prediction requests.
        latency: The server's histogram of their durations.
        endpoint: The endpoint's id.
        deployed_model: The deployed model's id.
    """

    def __init__(
        self,
        requests: prometheus_client.Counter,
        latency: prometheus_client.Histogram,
        endpoint: str,
        deployed_model: str,
    ) -> None:
        self._requests = requests.labels
        self._key = (endpoint, deployed_model)
        self._by_code: dict[int, prometheus_client.Counter] = {}
        self._latency = latency.labels(endpoint, deployed_model)

    def observe(self, http_status: int, seconds: float) -> None:
        """Count one request that was answered with `http_status` after `seconds`."""
        counter = self._by_code.get(http_status)
        if counter is None:
            counter = self._requests(*self._key, str(http_status))
            self._by_code[http_status] = counter
        counter.inc()
        self._latency.observe(seconds)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "homeport_prediction_requests_total",
            "Prediction requests answered, by HTTP status.",
            ("endpoint", "deployed_model", "status"),
            registry=self.registry,
        )
        self._latency = prometheus_client.Histogram(
            "homeport_prediction_duration_seconds",
            "Time from a prediction request's last byte to its response.",
            ("endpoint", "deployed_model"),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.replicas_ready = prometheus_client.Gauge(
            "homeport_replicas_ready",
            "Replicas that answer.",
            ("endpoint", "deployed_model"),
            registry=self.registry,
        )
        self.replicas_wanted = prometheus_client.Gauge(
            "homeport_replicas_wanted",
            "Replicas that the load wants, between minimum and maximum.",
            ("endpoint", "deployed_model"),
            registry=self.registry,
        )
        self.replica_restarts = prometheus_client.Gauge(
            "homeport_replica_restarts",
            "Replicas that died after they had been ready, since the server started.",
            ("endpoint", "deployed_model"),
            registry=self.registry,
        )
        self.queued = prometheus_client.Gauge(
            "homeport_predictions_queued",
            "Prediction requests that wait for a replica.",
            ("endpoint", "deployed_model"),
            registry=self.registry,
        )
        self._batch_rows = prometheus_client.Counter(
            "homeport_batch_rows_total",
            "Instances that batch predictions have done, by what came of them.",
            ("result",),
            registry=self.registry,
        )
        self._batch_jobs = prometheus_client.Histogram(
            "homeport_batch_job_duration_seconds",
            "Time from a batch prediction job's first run to its end.",
            ("state",),
            buckets=_JOB_BUCKETS_S,
            registry=self.registry,
        )
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)

    def meter(self, endpoint: str, deployed_model: str) -> PredictionMeter:
        """Return the meter of one deployed model."""
        return PredictionMeter(self._requests, self._latency, endpoint, deployed_model)

    def count_rows(self, succeeded: int, failed: int) -> None:
        """Count instances that a batch prediction job has done since it last told."""
        self._batch_rows.labels("succeeded").inc(succeeded)
        self._batch_rows.labels("failed").inc(failed)

    def observe_job(self, state: str, seconds: float) -> None:
        """Count a batch prediction job that ended in a state after `seconds`."""
        self._batch_jobs.labels(state).observe(seconds)

    def forget(self, endpoint: str, deployed_model: str) -> None:
        """Drop the gauges of a deployed model that is gone; its counters stay."""
        for gauge in (
            self.replicas_ready,
            self.replicas_wanted,
            self.replica_restarts,
            self.queued,
        ):
            # Older prometheus-clients raise for gauges that nobody has set yet.
            with contextlib.suppress(KeyError):
                gauge.remove(endpoint, deployed_model)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)


def configure_logging() -> None:
    """Send the server's log to standard error, one line an event."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    root = logging.getLogger("homeport")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
