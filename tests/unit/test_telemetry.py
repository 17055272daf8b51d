"""Metrics are counted for each deployed model, and forgotten with it."""

from homeport.telemetry import Metrics


def _lines(metrics: Metrics, name: str) -> list[str]:
    lines = metrics.text().decode().splitlines()
    return [line for line in lines if line.startswith(name)]


def test_predictions_are_counted_by_status_and_timed() -> None:
    metrics = Metrics()
    meter = metrics.meter("e", "7")

    for status, seconds in ((200, 0.002), (200, 0.2), (503, 0.0001)):
        meter.observe(status, seconds)

    labels = 'deployed_model="7",endpoint="e"'
    assert _lines(metrics, "homeport_prediction_requests_total") == [
        f'homeport_prediction_requests_total{{{labels},status="200"}} 2.0',
        f'homeport_prediction_requests_total{{{labels},status="503"}} 1.0',
    ]
    duration = "homeport_prediction_duration_seconds"
    assert _lines(metrics, f"{duration}_count") == [f"{duration}_count{{{labels}}} 3.0"]
    bucket = f'{duration}_bucket{{deployed_model="7",endpoint="e",le="0.0025"}} 2.0'
    assert bucket in _lines(metrics, duration)


def test_what_is_gone_has_no_gauges_but_keeps_its_counters() -> None:
    metrics = Metrics()
    for deployed_model in ("7", "8"):
        metrics.replicas_ready.labels("e", deployed_model).set(1)
        metrics.meter("e", deployed_model).observe(200, 0.1)

    metrics.forget("e", "7")
    metrics.forget("e", "never")

    assert _lines(metrics, "homeport_replicas_ready") == [
        'homeport_replicas_ready{deployed_model="8",endpoint="e"} 1.0'
    ]
    assert len(_lines(metrics, "homeport_prediction_requests_total")) == 2


def test_two_servers_share_no_metrics() -> None:
    first, second = Metrics(), Metrics()

    first.meter("e", "7").observe(200, 0.1)

    assert _lines(second, "homeport_prediction_requests_total") == []
